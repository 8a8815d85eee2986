/** The script at the other end of the kept connection to the engine's host, and how words travel to it. */

/**
 * POSIX sh. Takes one request a line (`id most word…`: at most so many bytes of output are wanted; `- id`: end it) and
 * answers with lines that are short enough to be written whole: `id o <hexadecimal>` for output, `id e <exit code>` at
 * its end. Requests run beside each other. Whatever a request writes into `<directory>/<id>.pid` is the process whose
 * group is killed when the request is to end, or when the other side is gone. What is in the script's own group ends
 * with it in any case.
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
    word=$(printf '%b.' "\${1#=}")
    set -- "$@" "\${word%.}"
    shift
    left=$((left - 1))
  done
  : > "$dir/$id"
  code=$( { { "$@" 3>&- 4>&-; echo "$?" >&3; } 2>&1 < /dev/null | { head -c "$most"; cat > /dev/null; } 3>&- |
    od -An -v -tx1 | emit "$id" 3>&- >&4; } 3>&1 )
  rm -f "$dir/$id" "$dir/$id.pid"
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
while read -r id rest; do
  case $id in
    -) cancel "$rest" > /dev/null & ;;
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

/** A word as the script's `printf %b` reads it: everything but plain characters in octal. */
export function encodeWord(word: string): string {
  if (word.includes("\0")) throw new TypeError("An argument cannot hold a NUL.");
  const bytes = [...Buffer.from(word)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_.,/:@=+-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, "0")}`;
  });
  return `=${bytes.join("")}`;
}

export const encodeRequest = (id: number, most: number, words: string[]): string =>
  `${[id, most, ...words.map(encodeWord)].join(" ")}\n`;
