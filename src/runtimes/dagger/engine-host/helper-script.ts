/** The script on the engine's host at the other end of the persistent connection, and the encoding of its arguments. */
import { SCRIPTS } from "./remote-scripts.js";

/**
 * POSIX sh. Each request is one line: `id most word…` runs a command, or a function of SCRIPTS, and limits its output to
 * `most` bytes, and so does `+ id most word…`, which `- id` can end. Each line of a response is short enough to be written
 * atomically: `id o <hexadecimal>` for output, `id x <exit code>`, `id e` at the end. Requests run concurrently. A request
 * with `+` writes the process whose group is to be killed into `<directory>/<id>.pid`; that happens when the request is
 * ended or the connection is lost. Processes in the script's own group always end with it. A request starts as few
 * processes as possible, because a start of services makes many: its pipeline is the background job, functions need no
 * other shell, and only output that reaches the limit needs a process that discards the rest.
 */
export const HELPER_SCRIPT = `
set -f
export LC_ALL=C
dir=$(mktemp -d) || exit 1
exec 4>&1
nap() { sleep 0.05 || sleep 1; } 2>/dev/null
${Object.entries(SCRIPTS)
  .map(([name, script]) => `${name}() {${script}\n}`)
  .join("\n")}
emit() {
  line= total=0
  while read -r bytes; do
    line=$line$bytes
    [ "\${#line}" -lt 3000 ] || { printf '%s o %s\\n' "$1" "$line"; total=$((total + \${#line})) line=; }
  done
  [ -z "$line" ] || printf '%s o %s\\n' "$1" "$line"
  [ "$((total + \${#line}))" -lt "$((2 * $2))" ]
}
serve() {
  id=$1 most=$2
  shift 2
  {
    left=$#
    while [ "$left" -gt 0 ]; do
      word=\${1#=}
      case $word in *\\\\*) word=$(printf '%b.' "$word") word=\${word%.} ;; esac
      set -- "$@" "$word"
      shift
      left=$((left - 1))
    done
    ( set +f; exec 4>&-; "$@" )
    printf '%s x %s\\n' "$id" "$?" >&4
  } 2>&1 < /dev/null | {
    od -An -v -tx1 -N "$most" 4>&- | emit "$id" "$most" >&4 || cat > /dev/null
    [ -z "$held" ] || rm -f "$dir/$id" "$dir/$id.pid"
    printf '%s e\\n' "$id" >&4
  } &
}
stop() { pid= ; read -r pid < "$1.pid"; [ -z "$pid" ] || kill -s KILL -- "-$pid" || kill -s KILL "$pid"; } 2>/dev/null
cancel() {
  tries=0
  while [ -e "$dir/$1" ] && [ "$tries" -lt 200 ]; do
    stop "$dir/$1"
    tries=$((tries + 1))
    nap
  done
}
printf 'ready %s\\n' "$dir"
while read -r id rest; do
  held=
  case $id in
    -) cancel "$rest" > /dev/null & ;;
    +)
      held=1
      : > "$dir/\${rest%% *}"
      serve $rest ;;
    *) serve "$id" $rest ;;
  esac
done
set +f
for one in "$dir"/*.pid; do stop "\${one%.pid}"; done
rm -rf "$dir"
group=
{ read -r pid name state parent group rest < "/proc/$$/stat"; } 2>/dev/null
[ "$group" != "$$" ] || kill -s KILL 0
`;

/** Encodes a word for `printf %b` in the script: all characters except plain ones in octal. */
function encodeWord(word: string): string {
  if (word.includes("\0")) throw new TypeError("An argument cannot hold a NUL.");
  const bytes = [...Buffer.from(word)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_.,/:@=+-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, "0")}`;
  });
  return `=${bytes.join("")}`;
}

/** @param held whether the request can be ended */
export const encodeRequest = (id: number, most: number, words: string[], held: boolean): string =>
  `${[...(held ? ["+"] : []), id, most, ...words.map(encodeWord)].join(" ")}\n`;
