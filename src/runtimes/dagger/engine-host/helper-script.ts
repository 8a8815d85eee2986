/** The script on the engine's host at the other end of the persistent connection, and the encoding of its arguments. */

/**
 * POSIX sh. Each request is one line: `id most word…` runs a command and limits its output to `most` bytes, and so does
 * `+ id most word…`, which `- id` can end. Each line of a response is short enough to be written atomically: `id o
 * <hexadecimal>` for output, `id e <exit code>` at the end. Requests run concurrently. A request with `+` writes the
 * process whose group is to be killed into `<directory>/<id>.pid`; that happens when the request is ended or the
 * connection is lost. Processes in the script's own group always end with it. A request starts as few processes as
 * possible, because a start of services makes many.
 */
export const HELPER_SCRIPT = `
set -f
export LC_ALL=C
dir=$(mktemp -d) || exit 1
exec 4>&1
nap() { sleep 0.05 || sleep 1; } 2>/dev/null
emit() {
  line=
  while read -r a b c d e f g h i j k l m n o p; do
    line=$line$a$b$c$d$e$f$g$h$i$j$k$l$m$n$o$p
    [ "\${#line}" -lt 2000 ] || { printf '%s o %s\\n' "$1" "$line"; line=; }
  done
  [ -z "$line" ] || printf '%s o %s\\n' "$1" "$line"
}
serve() {
  id=$1 most=$2
  shift 2
  left=$#
  while [ "$left" -gt 0 ]; do
    word=\${1#=}
    case $word in *\\\\*) word=$(printf '%b.' "$word") word=\${word%.} ;; esac
    set -- "$@" "$word"
    shift
    left=$((left - 1))
  done
  code=$( { { "$@" 3>&- 4>&-; echo "$?" >&3; } 2>&1 < /dev/null |
    { od -An -v -tx1 -N "$most"; cat > /dev/null; } 3>&- | emit "$id" 3>&- >&4; } 3>&1 )
  [ -z "$held" ] || rm -f "$dir/$id" "$dir/$id.pid"
  printf '%s e %s\\n' "$id" "$code" >&4
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
held=
while read -r id rest; do
  case $id in
    -) cancel "$rest" > /dev/null & ;;
    +)
      : > "$dir/\${rest%% *}"
      { held=1; serve $rest; } & ;;
    *) serve "$id" $rest & ;;
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
