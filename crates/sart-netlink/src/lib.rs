//! Executes route, link and address plans over netlink, and dumps.
