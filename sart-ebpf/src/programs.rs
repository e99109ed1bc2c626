//! One function per hook.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use sart_ebpf_common::packet::parse;
use sart_ebpf_common::reason::Reason;
use sart_ebpf_common::verdict::{Verdict, decide_in, decide_out, decide_xdp};

use crate::frame::{End, Page, Skb, rewrite};
use crate::maps::{Kernel, Way, count};

/// Ingress of an uplink: from a virtual address to an endpoint.
#[classifier]
pub fn up_in(ctx: TcContext) -> i32 {
    let mut verdict = Verdict::plain(Reason::NotOurs);
    match parse(&Skb(&ctx)) {
        Ok(meta) => {
            verdict = decide_in(&meta, &mut Kernel);
            if verdict.translate && !rewrite(&ctx, &meta, &verdict, End::Destination) {
                verdict.reason = Reason::Rewrite;
            }
        }
        Err(reason) => verdict.reason = reason,
    }
    finish(&ctx, &verdict, Way::In)
}

/// Egress of an uplink: from an endpoint back to the virtual address.
#[classifier]
pub fn up_out(ctx: TcContext) -> i32 {
    let mut verdict = Verdict::plain(Reason::NoFlow);
    match parse(&Skb(&ctx)) {
        Ok(meta) => {
            verdict = decide_out(&meta, &mut Kernel);
            if verdict.translate && !rewrite(&ctx, &meta, &verdict, End::Source) {
                verdict.reason = Reason::Rewrite;
            }
        }
        Err(reason) => verdict.reason = reason,
    }
    finish(&ctx, &verdict, Way::Out)
}

/// The driver's hook of an uplink: counts what is meant for a virtual address.
#[xdp]
pub fn xdp_in(ctx: XdpContext) -> u32 {
    let bytes = (ctx.data_end() - ctx.data()) as u64;
    let verdict = match parse(&Page(&ctx)) {
        Ok(meta) => decide_xdp(&meta, &Kernel),
        Err(_other) => Verdict::plain(Reason::XdpOther),
    };
    count(&verdict, bytes, Way::Xdp);
    XDP_PASS
}

/// Counts, and drops or lets the packet go on to the next program and the stack.
#[inline(always)]
fn finish(ctx: &TcContext, verdict: &Verdict, way: Way) -> i32 {
    count(verdict, u64::from(ctx.len()), way);
    if verdict.reason.is_drop() { TC_ACT_SHOT } else { TC_ACT_UNSPEC }
}
