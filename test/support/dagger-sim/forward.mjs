/** Runs in a session's network and connects addresses there with sockets outside. Argument: a JSON list of routes. */
import { connect, createServer } from "node:net";

const ways = JSON.parse(process.argv[2]);
let open = 0;
for (const way of ways) {
  const server = createServer({ allowHalfOpen: false }, (from) => {
    const to = connect(way.connect);
    from.pipe(to).pipe(from);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  server.listen(way.listen, () => {
    open += 1;
    if (open === ways.length) process.stdout.write("up\n");
  });
}
