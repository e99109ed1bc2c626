//! The kernel programs: they read the packet, ask the rules of `sart-ebpf-common`, and do what the verdict says. A
//! packet that is neither dropped nor redirected always goes on to the next program and the stack.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", expect(unsafe_code, reason = "kernel helpers and maps are raw pointers"))]

#[cfg(target_arch = "bpf")]
mod frame;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod programs;

/// Nothing runs anywhere but in the kernel.
#[cfg(not(target_arch = "bpf"))]
const fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that no program gets here.
    loop {}
}

/// `bpf_redirect` and others are for GPL-compatible programs only; the kernel knows this string as one.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
