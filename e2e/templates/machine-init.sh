#!/bin/bash
# First process of a machine of the lab: gives the machine its private view of the file system, then reaps orphans for ever.
# Everything it changes is in its own namespaces or below the lab's folder, so its death undoes it all.
#   machine-init.sh NAME KIND LAB_FOLDER      (KIND: node | router | client | switch)
set -e
name=$1 kind=$2 lab=$3
own=$lab/machines/$name
hostname "$name"
mount --make-rprivate /
# A hidden mount of this name would make the container runtime refuse mount propagation on /run.
umount -R -l /run/netns 2>/dev/null || true
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/lab
mount --bind "$lab" /run/lab
# Packages and daemons write below these; the machine's writes go to its own layer.
for folder in etc opt var; do
  mkdir -p "$own/$folder" "$own/.work/$folder"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$own/$folder,workdir=$own/.work/$folder" "/$folder"
done
case $lab in /etc/*|/opt/*|/var/*) mount --bind /run/lab "$lab" ;; esac
umount /run/lab
# Nobody answers names here; asking would only make a missing image look like a slow one.
rm -f /etc/resolv.conf && : > /etc/resolv.conf

put() { if [ -e "/proc/sys/net/$1" ]; then echo "$2" > "/proc/sys/net/$1"; fi; }
put ipv4/ip_forward 1
put ipv6/conf/all/forwarding 1
# Flows spread over equal paths by addresses, protocol and ports (bits 0, 1, 2, 4 and 5), and may come back over another link
# than they left by. Policy 1 means the same, but takes a hash that the sender's socket left on the packet: no wire carries it,
# a veth does. Every router in a row then chooses alike, and of two paths behind each of two routers one is never taken.
for family in ipv4 ipv6; do
  put $family/fib_multipath_hash_policy 3
  put $family/fib_multipath_hash_fields 55
done
# All namespaces hash with the kernel's one seed otherwise. This one's holds for both families (ip-sysctl.rst).
put ipv4/fib_multipath_hash_seed "$(printf %s "$name" | cksum | cut -d' ' -f1)"
put ipv4/conf/all/rp_filter 0
put ipv4/conf/default/rp_filter 0
put ipv4/conf/all/send_redirects 0
put ipv4/conf/default/send_redirects 0

if [ "$kind" = node ]; then
  mkdir -p "$own/kubelet" /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers /etc/cni/net.d /opt/cni/bin /run/netns
  # An overlay on an overlay is refused by the kernel: what holds mounts of its own needs a plain folder.
  mount --bind "$own/kubelet" /var/lib/kubelet
  mount --make-rshared /run
  mount --make-rshared /var/lib/kubelet
  mount -t bpf bpf /sys/fs/bpf
  # A pod that sees this folder with HostToContainer is refused unless it is shared.
  mount --make-rshared /sys/fs/bpf
  ln -sf /usr/lib/cni/* /opt/cni/bin/
fi
if [ "$kind" = router ]; then
  install -d -o frr -g frr /run/frr
fi
: > "$own/ready"
# bash collects whatever child ends, also those it did not start.
while :; do sleep 86400 & wait $!; done
