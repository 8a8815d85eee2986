# An ordinary user starts a server in a delegated cgroup, as `systemd-run --user --scope -p Delegate=yes` makes it.
# Prints one fact a line. The working directory is the project's root, built.
scope=/sys/fs/cgroup/user.slice/app.scope
mkdir -p /tmp/app /tmp/user/project "$scope"
cp -r dist stacks package.json /tmp/app/
ln -s "$PWD/node_modules" /tmp/app/node_modules
cp "$(readlink -f "$(command -v node)")" /tmp/node
chmod -R a+rX /tmp/app /tmp/node
echo "+cpu +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control
echo "+cpu +memory +pids" > /sys/fs/cgroup/user.slice/cgroup.subtree_control
cat > /tmp/user/project/compose.yaml <<'YAML'
services:
  worker:
    image: node:20
    mem_limit: 120m
    cpus: 0.5
    pids_limit: 40
    x-local: { command: [/bin/sh, -c, "exec sleep 7654"] }
YAML
chown -R 1000:1000 /tmp/user "$scope"

# Runs as the user, in this script's cgroup or in the one that the first argument names.
as_user() {
  local group=$1
  shift
  (
    [ -z "$group" ] || echo "$BASHPID" > "$group/cgroup.procs"
    cd /tmp/user/project || exit 1
    exec env -i PATH=/usr/bin:/bin HOME=/tmp/user setpriv --reuid 1000 --regid 1000 --clear-groups "$@"
  )
}
stackwarden=(/tmp/node /tmp/app/dist/stackwarden.js)

# The first command starts the server. Where emulation is slow, reading the definition can exceed its deadline.
group=$scope
for attempt in 1 2 3 4; do
  if as_user "$group" "${stackwarden[@]}" up -d --no-logs --runtime local > /tmp/up 2>&1; then break; fi
  group=
  [ "$attempt" -lt 4 ] || { echo "up failed:"; cat /tmp/up; exit 1; }
done
pid=$(pgrep -f 'sleep 7654' | tail -n 1)
group=$(cut -d: -f3 "/proc/$pid/cgroup")
echo "service user: $(stat -c %u "/proc/$pid")"
case $group in /user.slice/app.scope/?*) echo "service cgroup: delegated" ;; *) echo "service cgroup: $group" ;; esac
for file in memory.max cpu.max pids.max; do echo "$file: $(cat "/sys/fs/cgroup$group/$file")"; done
if [ "$(readlink "/proc/$pid/ns/pid")" = "$(readlink /proc/$$/ns/pid)" ]; then echo "service namespaces: none"; else echo "service namespaces: own"; fi
echo "no_new_privs: $(sed -n 's/^NoNewPrivs:\t//p' "/proc/$pid/status")"
as_user "" "${stackwarden[@]}" down > /tmp/down 2>&1 || { echo "down failed:"; cat /tmp/down; }
[ "$group" != / ] && [ -d "/sys/fs/cgroup$group" ] && echo "cgroup after down: $group" || echo "cgroup after down: none"
pgrep -f 'sleep 7654' > /dev/null && echo "service after down: runs" || echo "service after down: none"
if as_user "" bwrap --unshare-user --unshare-pid --bind / / --proc /proc --dev /dev -- /bin/sh -c '[ "$$" -lt 5 ]' 2> /tmp/bwrap
then echo "user namespaces: work"
else echo "user namespaces: $(tail -n 1 /tmp/bwrap)"
fi
