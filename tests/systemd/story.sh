# What happens on the small machine, told a line a fact: NAME=VALUE.
of() { systemctl show darumad -p "$1" --value; }
tell() { echo "$1=$2"; }

tell active "$(of ActiveState)"
tell status "$(of StatusText)"
tell socket "$(stat -c '%U %G %a' /run/daruma/control.sock)"
tell said "$(daruma submit --id hello --agent echo --wait 'Say hello' 2>/dev/null)"
HOME=/nonexistent setpriv --reuid=65534 --regid=65534 --clear-groups daruma status >/dev/null 2>&1
tell stranger_ends_with $?

systemctl kill --kill-who=main -s KILL darumad
tell after_kill "$(daruma work wait hello --within 40s)"
tell restarts "$(of NRestarts)"

systemctl restart darumad &
tell during_restart "$(daruma work list -o ndjson | wc -l)"
wait

daruma backup /var/lib/copy.db >/dev/null
chown daruma /var/lib/copy.db
tell restored_under_it "$(daruma restore /var/lib/copy.db 2>&1)"
systemctl stop darumad.socket darumad.service
tell restored_by_root "$(daruma restore /var/lib/copy.db | head -n 1)"
tell restored_by_its_user "$(runuser -u daruma -- daruma restore /var/lib/copy.db | head -n 1)"
tell not_its_own "$(find /var/lib/daruma -not -user daruma)"
systemctl start darumad.socket darumad.service
tell after_restore "$(daruma work wait hello --within 20s)"

printf 'executors: {cuont: 3}\n' > /etc/daruma/daruma.yaml
chmod 644 /etc/daruma/daruma.yaml
systemctl restart darumad 2>/dev/null
tell wrong_settings "$(of ActiveState) $(of ExecMainStatus) $(of NRestarts)"

tell to_callers "$(daruma status 2>&1 | tr '\n' ' ')"
tell doctor_of_a_failure "$(daruma doctor | grep systemd)"
tell still "$(of ActiveState) $(of NRestarts) $(grep -c 'executors.cuont: ' "$(dirname "$0")/daemon.log")"

rm /etc/daruma/daruma.yaml
systemctl start darumad
tell mended "$(systemctl is-active darumad.service darumad.socket | tr '\n' ' ')"
systemctl stop darumad.socket
tell doctor_without_socket "$(daruma doctor | grep systemd)"
systemctl restart darumad
rm /run/daruma/control.sock
tell doctor_without_its_file "$(daruma doctor | grep systemd)"
systemctl stop darumad.socket darumad.service
systemctl start darumad
tell doctor "$(daruma doctor | grep systemd)"
systemctl stop darumad.socket darumad.service
tell stopped "$(of Result) $(of ExecMainStatus)"
