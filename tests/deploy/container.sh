#!/bin/sh
# What a container engine does to a process, with the kernel's own means: a root of its own that cannot be written to,
# /tmp in memory, a number for a user, no capabilities. Run it as root in new namespaces:
#
#   unshare --mount --pid --fork container.sh ROOT UID "FOLDER[:PLACE]..." COMMAND...
set -eu
root=$1 uid=$2 folders=$3
shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/tmp"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/tmp"
for folder in /usr /bin /lib /lib64 /etc $folders; do
    place=$root${folder#*:}
    mkdir -p "$place"
    mount --bind "${folder%:*}" "$place"
    mount -o remount,bind,ro "$place"
done
mkdir -p "$root/proc" "$root/dev"
mount -t proc proc "$root/proc"
for device in null urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,ro,mode=755 "$root"
exec chroot "$root" setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all "$@"
