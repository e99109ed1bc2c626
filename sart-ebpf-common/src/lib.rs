//! Keys, values and verdicts shared by the kernel programs and user space.
