#!/bin/bash
# A small machine in namespaces of its own, with Debian's systemd as its first process and the units of systemd/ as they
# are installed. It has its own /etc, /run and /var/lib; nothing of it is left when it ends.
# machine.sh CHECKOUT PYTHON_PREFIX SITE_PACKAGES PLACE: runs PLACE/story.sh once the service is up, and ends with it.
set -euo pipefail
checkout=$1 python=$2 site=$3 place=$4

mount --make-rprivate /
mkdir -p "$place/etc" "$place/units/darumad.service.d" /run/daruma
cp -a /etc/. "$place/etc/"
mount --bind "$place/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir /opt/python /opt/site /opt/src
# The interpreter may lie in somebody's home, which the service cannot see.
mount --bind "$python" /opt/python
mount --bind "$site" /opt/site
mount --bind "$checkout/src" /opt/src
for each in /run /var/lib /var/log /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs "$each"; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup

cat > /usr/local/bin/daruma <<'END'
#!/bin/sh
LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/src:/opt/site exec /opt/python/bin/python3 -m darumad "$@"
END
chmod 755 /usr/local/bin/daruma

install -m 0644 "$checkout/systemd/darumad.service" "$checkout/systemd/darumad.socket" "$place/units/"
install -D -m 0644 "$checkout/systemd/darumad.sysusers" /etc/sysusers.d/darumad.conf
install -D -m 0644 "$checkout/systemd/darumad.tmpfiles" /etc/tmpfiles.d/darumad.conf
systemd-sysusers darumad.conf
systemd-tmpfiles --create darumad.conf
printf '[Service]\nStandardError=append:%s/daemon.log\n' "$place" > "$place/units/darumad.service.d/log.conf"
for each in sysinit basic shutdown sockets multi-user network-online umount final; do
  printf '[Unit]\nDefaultDependencies=no\n' > "$place/units/$each.target"
done
cat > "$place/units/machine.target" <<'END'
[Unit]
DefaultDependencies=no
Wants=darumad.socket darumad.service story.service
END
cat > "$place/units/story.service" <<END
[Unit]
After=darumad.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/bash $place/story.sh
StandardOutput=file:$place/told
StandardError=file:$place/told
TimeoutStartSec=300
END
exec env -i container=docker PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin SYSTEMD_UNIT_PATH="$place/units" \
  /lib/systemd/systemd --system --unit=machine.target --log-target=null --show-status=no
