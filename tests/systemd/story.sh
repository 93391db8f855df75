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

printf 'executors: {cuont: 3}\n' > /etc/daruma/daruma.yaml
chmod 644 /etc/daruma/daruma.yaml
systemctl restart darumad 2>/dev/null
tell wrong_settings "$(of ActiveState) $(of ExecMainStatus) $(of NRestarts)"

rm /etc/daruma/daruma.yaml
systemctl reset-failed darumad
systemctl start darumad
systemctl stop darumad
tell stopped "$(of Result) $(of ExecMainStatus)"
