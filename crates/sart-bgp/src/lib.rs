//! BGP codec, session, RIB and policy as pure state machines.
