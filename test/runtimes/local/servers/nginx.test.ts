import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prepareServer } from "../../../../src/runtimes/local/servers/prepare-server.js";
import type { Mount, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

describe("prepareServer of nginx", () => {
  let preparation: Preparation;
  beforeEach(() => {
    preparation = new Preparation();
    preparation.program("nginx");
    preparation.host.answer = () => ({ output: "nginx version: nginx/1.22.1" });
  });
  afterEach(() => preparation.close());

  const bind = (path: string, target: string): Mount => ({
    type: "bind",
    source: join(preparation.folder, path),
    target,
    readOnly: true,
  });
  const prepare = async (fields: Partial<ServiceDefinition> = {}) =>
    prepareServer(
      "nginx",
      await preparation.context(
        { ...service("web", { image: "nginx:alpine", ...fields }), server: "nginx" },
        { ports: { "web:80": 41_080, "api:5000": 41_500 }, others: [service("api")] },
      ),
    );
  const config = () => readFileSync(join(preparation.stateDir, "run/web/nginx/nginx.conf"), "utf8");
  const parts = () => {
    const folder = join(preparation.stateDir, "run/web/nginx/conf.d");
    return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  };

  it("without a configuration it serves the folder of the image's pages on the service's host port", async () => {
    preparation.file("public/index.html", "x");
    const plan = await prepare({ mounts: [bind("public", "/usr/share/nginx/html/")] });
    const run = join(preparation.stateDir, "run/web");
    expect(plan.argv).toEqual([
      join(preparation.bin, "nginx"),
      ...["-e", "stderr", "-p", join(run, "tmp"), "-c", join(run, "nginx/nginx.conf")],
    ]);
    expect(plan.stopSignal).toBe("SIGQUIT");
    expect(plan.notes).toEqual(["Its access log is not kept: the local runtime keeps nginx's error log."]);
    expect(parts()).toEqual({
      "default.conf": `server {
  listen 127.0.0.1:41080;
  location / { root ${join(preparation.folder, "public")}; index index.html index.htm; }
}
`,
    });
    const text = config();
    expect(text).toMatch(new RegExp(`^pid ${run}/tmp/nginx.pid;\ndaemon off;\n`));
    expect(text).toContain(`http {\n  client_body_temp_path ${run}/tmp/client_body;`);
    expect(text).toContain(`scgi_temp_path ${run}/tmp/scgi; access_log off;`);
    expect(text).toContain(`include ${run}/nginx/conf.d/*.conf;`);
    expect(await plan.resolve(["nginx", "-t"])).toEqual(["nginx", "-t"]);
  });

  it("a main configuration of the project replaces the image's, and its parts are read from its folder", async () => {
    preparation.file("nginx.conf", "user nginx;\nevents {}\nhttp { include /etc/nginx/conf.d/*.conf; }");
    preparation.file("conf/a.conf", "server { listen 80; location / { proxy_pass http://api:5000; } }");
    preparation.file("conf/notes.txt", "not a configuration");
    preparation.file("conf/inner/b.conf", "not at this level");
    await prepare({ mounts: [bind("nginx.conf", "/etc/nginx/nginx.conf"), bind("conf", "/etc/nginx/conf.d")] });
    expect(parts()).toEqual({
      "a.conf": "server { listen 127.0.0.1:41080; location / { proxy_pass http://127.0.0.1:41500; } }",
    });
    expect(config()).not.toContain("user nginx");
    expect(config()).toContain(`include ${join(preparation.stateDir, "run/web/nginx/conf.d")}/*.conf;`);
  });

  it("a main configuration without parts gets no default server", async () => {
    preparation.file("nginx.conf", "events {}\nhttp { server { listen 80; } }");
    await prepare({ mounts: [bind("nginx.conf", "/etc/nginx/nginx.conf")] });
    expect(parts()).toEqual({});
    expect(config()).toContain("listen 127.0.0.1:41080;");
  });

  it("a bind of the folder above supplies the main configuration and the parts", async () => {
    preparation.file("etc/nginx.conf", "events {}\nhttp {}");
    preparation.file("etc/conf.d/site.conf", "server { listen 80; }");
    await prepare({ mounts: [bind("etc", "/etc/nginx")] });
    expect(config()).toContain("events {}");
    expect(parts()).toEqual({ "site.conf": "server { listen 127.0.0.1:41080; }" });
  });

  it("templates get the service's variables, and others stay", async () => {
    preparation.file("templates/site.conf.template", `server { listen \${PORT}; return 200 "$NAME $uri \${OTHER}"; }`);
    preparation.file("templates/readme.md", "");
    await prepare({
      environment: { PORT: "80", NAME: "shop" },
      mounts: [bind("templates", "/etc/nginx/templates"), bind("absent.conf", "/etc/nginx/conf.d/absent.conf")],
    });
    expect(parts()).toEqual({
      "site.conf": `server { listen 127.0.0.1:41080; return 200 "shop $uri \${OTHER}"; }`,
    });
  });

  it("an address that its service does not have is noted, and so is another version of nginx", async () => {
    preparation.file("site.conf", "server { location / { proxy_pass http://api:3001; } }");
    const { notes } = await prepare({
      image: "nginx:1.27",
      mounts: [bind("site.conf", "/etc/nginx/conf.d/default.conf")],
    });
    expect(notes).toEqual([
      "Its access log is not kept: the local runtime keeps nginx's error log.",
      "Its configuration names api:3001, but api has port 5000: connections there may be refused.",
      "Runs nginx 1.22.1 instead of nginx:1.27.",
    ]);
  });

  it("a service without a port is named as one, and its address keeps the port", async () => {
    preparation.file("site.conf", "server { location / { proxy_pass http://worker; } } # /");
    const context = await preparation.context(
      { ...service("web", { mounts: [bind("site.conf", "/etc/nginx/conf.d/default.conf")] }), server: "nginx" },
      { others: [service("worker")] },
    );
    const { notes } = await prepareServer("nginx", context);
    expect(notes[1]).toBe(
      "Its configuration names worker:80, but worker declares no port: connections there may be refused.",
    );
    expect(parts()["default.conf"]).toContain("proxy_pass http://127.0.0.1:80;");
  });

  it("a port that the service does not have stays, on 127.0.0.1", async () => {
    preparation.file("site.conf", "server { listen 8443 ssl; }");
    await prepare({ mounts: [bind("site.conf", "/etc/nginx/conf.d/default.conf")] });
    expect(parts()["default.conf"]).toBe("server { listen 127.0.0.1:8443 ssl; }");
  });

  it("a command without nginx is refused, and one with it is not used", async () => {
    await expect(prepare({ command: ["sh", "-c", "sleep 1"] })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: 'The local runtime cannot run the command of "web": sh -c sleep 1.',
      hint: "Leave the command out, or use x-local.command.",
    });
    const { argv } = await prepare({
      entrypoint: ["/docker-entrypoint.sh"],
      command: ["nginx", "-g", "daemon off;"],
    });
    expect(argv).not.toContain("-g");
  });

  it("a bind from outside of the project is refused", async () => {
    const outside: Mount = { type: "bind", source: "/srv/pages", target: "/usr/share/nginx/html", readOnly: true };
    await expect(prepare({ mounts: [outside] })).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: 'The local runtime cannot mount /usr/share/nginx/html into "web".',
      hint: "Keep its files in the project's folder.",
    });
  });
});
