//! One function per hook.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::helpers::generated::bpf_redirect_peer;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use sart_ebpf_common::packet::parse;
use sart_ebpf_common::pod::{decide_pod_in, decide_pod_out};
use sart_ebpf_common::reason::Reason;
use sart_ebpf_common::verdict::{Verdict, decide_in, decide_out, decide_xdp};

use crate::frame::{End, Page, Skb, hand_over, rewrite};
use crate::maps::{Kernel, Way, count, count_reason};

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

/// Ingress of the host's end of a pod's link: what the pod sends.
#[classifier]
pub fn pod_in(ctx: TcContext) -> i32 {
    let verdict = decide_pod_in(&Skb(&ctx), interface(&ctx), &mut Kernel);
    let mut reason = verdict.reason;
    let bytes = u64::from(ctx.len());
    if let Some(to) = verdict.hand_over {
        if hand_over(&ctx, &to) {
            count_reason(reason, bytes);
            // SAFETY: takes numbers; what it answers is the action.
            return unsafe { bpf_redirect_peer(to.ifindex, 0) } as i32;
        }
        reason = Reason::Rewrite;
    }
    count_reason(reason, bytes);
    act(reason)
}

/// Egress of the host's end of a pod's link: what the stack sends to the pod.
#[classifier]
pub fn pod_out(ctx: TcContext) -> i32 {
    let reason = decide_pod_out(&Skb(&ctx), interface(&ctx), &mut Kernel);
    count_reason(reason, u64::from(ctx.len()));
    act(reason)
}

#[inline(always)]
fn interface(ctx: &TcContext) -> u32 {
    // SAFETY: the context is the kernel's for as long as the program runs.
    unsafe { (*ctx.skb.skb).ifindex }
}

#[inline(always)]
fn act(reason: Reason) -> i32 {
    if reason.is_drop() { TC_ACT_SHOT } else { TC_ACT_UNSPEC }
}

/// Counts, and drops or lets the packet go on to the next program and the stack.
#[inline(always)]
fn finish(ctx: &TcContext, verdict: &Verdict, way: Way) -> i32 {
    count(verdict, u64::from(ctx.len()), way);
    act(verdict.reason)
}
