"""Stand-in for the engine host's runc: list, state, update, events, exec, kill, pause, resume over the simulated engine's containers.

Limits are the kernel's own: they go to the container's real cgroups, version 1 or 2.
"""
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINE = os.environ["DAGGER_SIM_ENGINE"]
CONTAINERS = os.path.join(ENGINE, "containers")
HUGE = 1 << 62


def fail(message):
    sys.stderr.write('time="now" level=error msg="%s"\n' % message)
    sys.exit(1)


def state(container):
    if "/" in container or not container:
        fail("invalid id format: %s" % container)
    try:
        with open(os.path.join(CONTAINERS, container, "state.json")) as file:
            return json.load(file)
    except (OSError, ValueError):
        fail("container does not exist")


def public(record):
    return {key: value for key, value in record.items() if key != "cgroups"}


def running():
    for name in sorted(os.listdir(CONTAINERS)) if os.path.isdir(CONTAINERS) else []:
        try:
            with open(os.path.join(CONTAINERS, name, "state.json")) as file:
                record = json.load(file)
            # What a killed session left behind is no container any more.
            if os.path.exists("/proc/%s" % record["pid"]):
                yield record
        except (OSError, ValueError):
            pass


def groups(record):
    """Folder by controller; version 2 has one, under the empty name."""
    return {group["controller"]: group["path"] for group in record["cgroups"]}


def read(*path):
    try:
        with open(os.path.join(*path)) as file:
            return file.read().strip()
    except OSError:
        return ""


def number(*path):
    text = read(*path)
    return int(text) if text.lstrip("-").isdigit() else 0


def write(value, *path):
    try:
        with open(os.path.join(*path), "w") as file:
            file.write(str(value))
    except OSError as error:
        fail("failed to write %s: %s" % (os.path.join(*path), error.strerror))


def table(text):
    return {words[0]: int(words[1]) for words in (line.split() for line in text.split("\n")) if len(words) == 2}


def options(words, flags, switches=()):
    """Go's flag syntax: --name value, --name=value; ends at the first operand."""
    given = {}
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        if name in switches:
            given[name] = value or "true"
        elif name in flags:
            if not equals:
                if not words:
                    fail("flag needs an argument: --%s" % name)
                value = words.pop(0)
            given.setdefault(name, []).append(value) if name == "env" else given.__setitem__(name, value)
        else:
            fail("flag provided but not defined: -%s" % name)
    return given


def do_list(words):
    given = options(words, ("format", "f"), ("quiet", "q"))
    rows = [public(record) for record in running()]
    if given.get("format", given.get("f")) == "json":
        print(json.dumps(rows) if rows else "null")
    else:
        for row in rows:
            print(row["id"] if "q" in given or "quiet" in given else "%s %s %s" % (row["id"], row["pid"], row["status"]))


def update_v1(group, given):
    memory = group.get("memory")
    wanted = int(given.get("memory", 0))
    swap = int(given.get("memory-swap", 0))
    if wanted and memory:
        both = os.path.join(memory, "memory.memsw.limit_in_bytes")
        order = [(wanted, os.path.join(memory, "memory.limit_in_bytes"))]
        if swap and os.path.exists(both):
            order.append((swap, both))
        # A limit may never be above the one for both, on the way neither.
        now = number(both)
        if len(order) == 2 and (wanted < 0 or (now > 0 and wanted > now)):
            order.reverse()
        for value, path in order:
            write(value, path)
    if group.get("cpu"):
        if "cpu-period" in given:
            write(given["cpu-period"], group["cpu"], "cpu.cfs_period_us")
        if "cpu-quota" in given:
            write(given["cpu-quota"], group["cpu"], "cpu.cfs_quota_us")
    if group.get("pids") and "pids-limit" in given:
        wanted = int(given["pids-limit"])
        write(wanted if wanted > 0 else "max", group["pids"], "pids.max")


def update_v2(path, given):
    if "memory" in given:
        wanted = int(given["memory"])
        write(wanted if wanted > 0 else "max", path, "memory.max")
        swap = int(given.get("memory-swap", 0))
        if swap:
            write(max(0, swap - wanted) if swap > 0 else "max", path, "memory.swap.max")
    if "cpu-quota" in given or "cpu-period" in given:
        quota = int(given.get("cpu-quota", -1))
        write("%s %s" % (quota if quota > 0 else "max", given.get("cpu-period", 100000)), path, "cpu.max")
    if "pids-limit" in given:
        wanted = int(given["pids-limit"])
        write(wanted if wanted > 0 else "max", path, "pids.max")


def do_update(words):
    flags = ("memory", "memory-swap", "memory-reservation", "cpu-period", "cpu-quota", "cpu-share", "pids-limit", "blkio-weight", "cpuset-cpus", "cpuset-mems")
    given = options(words, flags)
    record = state(words[0] if words else "")
    group = groups(record)
    if "" in group:
        update_v2(group[""], given)
    else:
        update_v1(group, given)


def stats(record):
    group = groups(record)
    if "" in group:
        path = group[""]
        use, cpu = table(read(path, "cpu.stat")), {}
        usage = {"total": use.get("usage_usec", 0) * 1000, "kernel": use.get("system_usec", 0) * 1000, "user": use.get("user_usec", 0) * 1000}
        throttled = (use.get("nr_periods", 0), use.get("nr_throttled", 0), use.get("throttled_usec", 0) * 1000)
        most = read(path, "memory.max")
        memory = {"limit": int(most) if most.isdigit() else HUGE, "usage": number(path, "memory.current"), "max": number(path, "memory.peak"), "failcnt": 0}
        raw = table(read(path, "memory.stat"))
        pids = (path, "pids.current", "pids.max")
    else:
        cpuacct, cpu = group.get("cpuacct", ""), group.get("cpu", "")
        use = table(read(cpuacct, "cpuacct.stat"))
        usage = {"total": number(cpuacct, "cpuacct.usage"), "kernel": use.get("system", 0) * 10000000, "user": use.get("user", 0) * 10000000}
        held = table(read(cpu, "cpu.stat"))
        throttled = (held.get("nr_periods", 0), held.get("nr_throttled", 0), held.get("throttled_time", 0))
        memory_path = group.get("memory", "")
        memory = {
            "limit": number(memory_path, "memory.limit_in_bytes"),
            "usage": number(memory_path, "memory.usage_in_bytes"),
            "max": number(memory_path, "memory.max_usage_in_bytes"),
            "failcnt": number(memory_path, "memory.failcnt"),
        }
        raw = table(read(memory_path, "memory.stat"))
        pids = (group.get("pids", ""), "pids.current", "pids.max")
    most = read(pids[0], pids[2])
    return {
        "cpu": {"usage": usage, "throttling": {"periods": throttled[0], "throttledPeriods": throttled[1], "throttledTime": throttled[2]}},
        "cpuset": {},
        "memory": {"cache": raw.get("cache", 0), "usage": memory, "swap": {"limit": 0, "failcnt": 0}, "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0}, "raw": raw},
        "pids": {"current": number(pids[0], pids[1]), **({"limit": int(most)} if most.isdigit() else {})},
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": None,
    }


def do_events(words):
    given = options(words, ("interval",), ("stats",))
    record = state(words[0] if words else "")
    if "stats" not in given:
        fail("only events --stats is simulated")
    print(json.dumps({"type": "stats", "id": record["id"], "data": stats(record)}))


def copy(source, target):
    while True:
        chunk = os.read(source.fileno(), 65536)
        if not chunk:
            return
        while chunk:
            chunk = chunk[os.write(target, chunk):]


def do_exec(words):
    # The other commands start faster without these modules.
    import subprocess
    import threading

    flags = ("cwd", "env", "e", "user", "u", "additional-gids", "g", "process", "p", "pid-file", "cap", "console-socket")
    given = options(words, flags, ("tty", "t", "detach", "d", "no-new-privs", "ignore-paused"))
    if not words:
        fail("container id cannot be empty")
    record = state(words.pop(0))
    if words and words[0] == "--":
        words.pop(0)
    if not words:
        fail("process args cannot be empty")
    with open(os.path.join(record["bundle"], "config.json")) as file:
        process = json.load(file)["process"]
    own = process["user"]
    user = given.get("user", given.get("u", "%d:%d" % (own["uid"], own["gid"])))
    uid, _, gid = user.partition(":")
    environment = os.path.join(record["bundle"], "exec-%d" % os.getpid())
    extra = [given["e"]] if "e" in given else []
    with open(os.open(environment, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write("\0".join(process["env"] + given.get("env", []) + extra))
    for path in groups(record).values():
        write(os.getpid(), path, "cgroup.procs")
    before = ["setpriv", "--no-new-privs"] if "no-new-privs" in given else []
    enter = ["nsenter", "--target", str(record["pid"]), "--mount", "--uts", "--ipc", "--net", "--pid"]
    init = ["perl", os.path.join(HERE, "init.pl"), "exec", record["rootfs"], uid, gid or "0", "-", given.get("cwd", process["cwd"]), environment]
    try:
        # As runc does it: ends only when what the command left behind has closed its output too.
        child = subprocess.Popen(before + enter + init + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        fail(str(error))
    copies = [threading.Thread(target=copy, args=pair) for pair in ((child.stdout, 1), (child.stderr, 2))]
    for one in copies:
        one.start()
    code = child.wait()
    for one in copies:
        one.join()
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)


def do_kill(words):
    given = options(words, (), ("all", "a"))
    record = state(words[0] if words else "")
    name = words[1] if len(words) > 1 else "SIGTERM"
    try:
        wanted = int(name) if name.isdigit() else getattr(signal, name if name.startswith("SIG") else "SIG" + name)
    except AttributeError:
        fail("unknown signal %s" % name)
    try:
        os.kill(record["pid"], wanted)
    except ProcessLookupError:
        fail("container not running")


def freeze(words, frozen):
    record = state(words[0] if words else "")
    group = groups(record)
    if "" in group:
        write(int(frozen), group[""], "cgroup.freeze")
        shows = lambda: ("frozen %d" % frozen) in read(group[""], "cgroup.events")
    elif "freezer" in group:
        write("FROZEN" if frozen else "THAWED", group["freezer"], "freezer.state")
        shows = lambda: read(group["freezer"], "freezer.state") == ("FROZEN" if frozen else "THAWED")
    else:
        fail("unable to freeze: no freezer cgroup")
    for _ in range(1000):
        if shows():
            return
        time.sleep(0.01)
    fail("unable to freeze")


def do_pause(words):
    freeze(words, True)


def do_resume(words):
    freeze(words, False)


def do_state(words):
    print(json.dumps(public(state(words[0] if words else "")), indent=2))


def do_ps(words):
    given = options(words, ("format", "f"))
    path = next(iter(groups(state(words[0] if words else "")).values()), "")
    pids = [int(pid) for pid in read(path, "cgroup.procs").split()]
    print(json.dumps(pids) if given.get("format", given.get("f")) == "json" else "\n".join(map(str, pids)))


def main():
    words = sys.argv[1:]
    given = options(words, ("root", "log", "log-format"), ("debug", "systemd-cgroup", "version", "v"))
    if "version" in given or "v" in given:
        print("runc version 1.2.1\nspec: 1.2.0")
        return
    known = {"list": do_list, "update": do_update, "events": do_events, "exec": do_exec, "kill": do_kill, "state": do_state, "ps": do_ps, "pause": do_pause, "resume": do_resume}
    command = words.pop(0) if words else ""
    if command not in known:
        fail('no help topic for "%s"' % command)
    # Operands first, flags after them: runc takes both orders.
    known[command](words)


main()
