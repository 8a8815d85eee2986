/** Projects for the comparison with compose-go: each is a set of files and covers forms of the specification. */

export interface ReferenceProject {
  name: string;
  /** By path. */
  files: Record<string, string>;
  /** Compose files to name; default: the usual ones. */
  use?: string[];
  profiles?: string[];
}

const one = (name: string, text: string, files: Record<string, string> = {}): ReferenceProject => ({
  name,
  files: { "compose.yaml": text, ...files },
});

export const PROJECTS: ReferenceProject[] = [
  one(
    "numbers, booleans and dates without quotes",
    `services:
  a:
    image: x
    environment: { A: 1.10, B: 0123, C: 1_000, D: 2020-01-01, E: 0x1F, F: 1e3, G: yes, I: 0o17, J: 1.0, L: 1.5e10, M: True, O: 0b11, P: +5, Q: 1e-7, R: 100000000.5, S: 0099, T: "010", U: -0, V: 1234567.5, W: ~ }
    labels: { a: 1.10, b: true, c: 010 }
`,
  ),
  one(
    "environment with names alone, and env files",
    `services:
  a: { image: x, environment: [A=1, B, "C=a=b", D=, A], env_file: one.env }
  b: { image: x, environment: { A: , B: "", HOST: db }, env_file: [one.env, { path: two.env, required: true }, { path: no.env, required: false }] }
`,
    {
      ".env": "B=from-dotenv\nQ='it\\'s'\nR=\"a\\nb $B\"\n",
      "one.env": "X=1\nY=${B}-${HOST:-none}\nA=env-file\nexport Z = spaced # note\nNAME\n",
      "two.env": 'X=2\nQUOTED="a \\"b\\" $X"\nSINGLE=\'$X # not\'\nC: colon\n',
    },
  ),
  one(
    "interpolation in every form",
    `services:
  a:
    image: "i:\${TAG:-latest}"
    command: ["$A", "\${A}", "\${A:-d}", "\${E:-d}", "\${E-d}", "\${U:-d}", "\${U-d}", "\${A:+y}", "\${E:+y}", "\${E+y}", "\${U+y}", "\${U:-\${A}-\${V:-z}}", "$$A", "100$", "$5", "a$ b", "\${U:-{\\"k\\": {}}}"]
`,
    { ".env": "A=a\nE=\n" },
  ),
  one(
    "commands as text",
    `services:
  a: { image: x, command: run "one word" 'two words' a\\ b, entrypoint: /bin/sh -c "echo 'x'" }
  b: { image: x, command: sh -c one && two, entrypoint: [] }
  c: { image: x, command: "", entrypoint: echo $$(date) }
`,
  ),
  one(
    "ports and expose in every form",
    `services:
  a:
    image: x
    ports: [80, "81", "8082:82", "127.0.0.1:8083:83", "0:84", "9000-9002:90-92", "9100-9110:91", "53:53/udp", "95-96", "127.0.0.1::97", { target: 98 }, { target: 99, published: "8099", protocol: udp, mode: host }, { target: 100, published: "8100-8110" }, "8082:82"]
    expose: [3000, "4000/tcp", "5000-5002", "53/udp"]
`,
  ),
  one(
    "volumes in every form",
    `services:
  a:
    image: x
    dns: ["", 1.1.1.1]
    volumes: [/anon, data:/data, "data:/ro:ro", "./rel:/rel", "./rel:/rel2:ro,z", { type: volume, source: data, target: /long/, volume: { nocopy: true, subpath: sub } }, { type: bind, source: ./b, target: /b, bind: { create_host_path: false, propagation: rslave } }, { type: tmpfs, target: /t, tmpfs: { size: 1m, mode: 0700 } }, { type: volume, target: /anon2 }, "./later:/rel"]
    tmpfs: [/run, "/tmp:size=64m,mode=1777"]
  b: { image: x, tmpfs: /one, volumes: [dir:/dir, "other:/other"] }
volumes: { other: { driver: plugin, driver_opts: { type: none, o: bind, device: ./other } }, data: { driver: local, labels: [a=b] }, dir: { driver: local, driver_opts: { type: none, o: bind, device: ./real } }, ext: { external: true } }
`,
  ),
  one(
    "names and networks",
    `services:
  a: { image: x, container_name: one, hostname: host-a, domainname: example.test, networks: [front], links: [b, "c:other"], extra_hosts: ["db:10.0.0.1", "gw=host-gateway"], dns: 8.8.8.8, dns_search: [a.test], dns_opt: ["ndots:1"] }
  b: { image: x, networks: { front: { aliases: [bee, b2], priority: 5 }, back: } }
  c: { image: x, network_mode: none }
  d: { image: x, network_mode: bridge, extra_hosts: { a.test: 10.0.0.2 } }
networks: { front: { driver: bridge, internal: true, ipam: { config: [{ subnet: 10.9.0.0/16 }] } }, back: { external: true, name: other } }
`,
  ),
  one(
    "order, health and restarts",
    `services:
  a: { image: x, depends_on: { b: { condition: service_healthy, restart: true }, c: { condition: service_completed_successfully, required: false } }, restart: unless-stopped }
  b: { image: x, healthcheck: { test: curl -f http://localhost, interval: 1m30s, timeout: 5s, retries: 7, start_period: 10s }, restart: "on-failure:3" }
  c: { image: x, healthcheck: { test: ["CMD", "true"] }, deploy: { restart_policy: { condition: on-failure, max_attempts: 4, delay: 1s } } }
  d: { image: x, depends_on: [a, b], healthcheck: { disable: true }, restart: "no" }
  e: { image: x, healthcheck: { interval: 3s }, stop_signal: SIGINT, stop_grace_period: 1m, deploy: { restart_policy: {} } }
  f: { image: x, healthcheck: { test: [NONE] } }
  g: { image: x, hostname: with_underscore, depends_on: { p: { condition: service_started } }, deploy: { restart_policy: { condition: unless-stopped } } }
  h: { image: x, deploy: { restart_policy: { condition: "no" } } }
  i: { image: x, build: { context: ., dockerfile: "\${UNSET}" } }
  p: { provider: { type: outside } }
`,
  ),
  one(
    "limits and container settings",
    `services:
  a: { image: x, cpus: 0.5, mem_limit: 64m, pids_limit: 10, mem_reservation: 32m, ulimits: { nofile: 1024, nproc: { soft: 10, hard: 20 } }, shm_size: 128m, sysctls: { net.core.somaxconn: 1024 }, tty: true, stdin_open: true, init: true, read_only: true, platform: linux/amd64, pull_policy: if_not_present, user: "1000:1000", working_dir: /srv, scale: 2, group_add: [audio, 1000] }
  b: { image: x, deploy: { replicas: 3, resources: { limits: { cpus: "1.5", memory: 1.5gb, pids: 5 }, reservations: { cpus: "0.2", memory: 20m } } }, annotations: [a=b], sysctls: [net.ipv4.ip_forward=1], pull_policy: always }
  c: { image: x, cpu_quota: 50000, cpu_period: 25000, labels: ["a=b=c", d], pids_limit: 0 }
`,
  ),
  one(
    "builds",
    `services:
  a: { build: . }
  b: { build: { context: ./b, dockerfile: Other, target: prod, args: [A=1, B, "C=\${V:-v}"], labels: { a: b }, cache_from: [x] } }
  c: { build: { dockerfile_inline: "FROM x\\n" }, image: named }
  d: { build: { context: b, args: { N: 1.10, E: , S: "" } } }
  e: { build: { context: b, extra_hosts: ["db:10.0.0.1", "gw=host-gateway"], shm_size: 128m } }
`,
    { ".env": "B=from-env\n" },
  ),
  one(
    "secrets and configs",
    `services:
  a: { image: x, secrets: [one, { source: two, target: named, uid: "103", gid: "103", mode: 0440 }, { source: one, target: /abs/path }], configs: [c, { source: d, target: /etc/d.conf, mode: 0444 }] }
secrets: { one: { file: ./one.txt }, two: { environment: TWO } }
configs: { c: { content: "text \${TWO}" }, d: { file: ./d.conf } }
`,
    { ".env": "TWO=2-secret\n", "one.txt": "1\n", "d.conf": "d\n" },
  ),
  one(
    "anchors and merge keys",
    `x-env: &env { A: "1", B: "2" }
x-base: &base { image: x, environment: { <<: *env, B: "3" } }
services:
  a: { !!merge <<: *base }
  b: { <<: [*base, { hostname: h }], environment: *env }
  c: { <<: *base, image: y }
`,
  ),
  one(
    "several documents",
    "services: { a: { image: one, ports: ['80:80'] } }\n---\nservices: { a: { image: two, ports: ['81:81'] }, b: { image: b } }\n",
  ),
  {
    name: "an override file with !reset and !override",
    files: {
      "compose.yaml": `services:
  a: { image: x, command: one, ports: ["80:80"], environment: { A: "1", B: "2" }, volumes: ["./x:/x", "./y:/y"], labels: [k=v], dns: 1.1.1.1, depends_on: [b], env_file: one.env, healthcheck: { test: old, retries: 2 }, logging: { driver: json-file, options: { a: b } }, networks: [n], build: . , expose: [1] }
  b: { image: x, ports: ["81:81"], environment: [X=1] }
  c: { image: x, ports: ["82:82"], command: keep, ulimits: { nofile: { soft: 1, hard: 2 } } }
networks: { n: {} , m: {} }
`,
      "compose.override.yaml": `services:
  a: { command: two, ports: ["80:80", "90:90"], environment: [B=3, C], volumes: ["./z:/y"], labels: { k2: v2 }, dns: [8.8.8.8], depends_on: { c: { condition: service_healthy } }, env_file: [two.env], healthcheck: { test: ["CMD", "new"] }, networks: { m: { aliases: [q] } }, build: { target: t }, expose: [2, 1] }
  b: { ports: !override ["99:99"], environment: !reset {} }
  c: { ports: !reset [], command: !reset null, ulimits: { nofile: { hard: 5 } } }
`,
      "one.env": "ONE=1\n",
      "two.env": "ONE=2\nTWO=2\n",
    },
  },
  {
    name: "named compose files",
    files: {
      "deploy/base.yaml": "services: { a: { image: x, volumes: ['./data:/data'], env_file: a.env } }\n",
      "deploy/a.env": "A=1\n",
      "dev.yaml": "services: { a: { volumes: ['./more:/more'], build: ./ctx } }\n",
    },
    use: ["deploy/base.yaml", "dev.yaml"],
  },
  {
    name: "COMPOSE_FILE, COMPOSE_PROFILES and COMPOSE_PROJECT_NAME",
    files: {
      ".env": "COMPOSE_FILE=one.yaml:two.yaml\nCOMPOSE_PROFILES=debug\nCOMPOSE_PROJECT_NAME=named\n",
      "one.yaml":
        "services: { a: { image: 'x-${COMPOSE_PROJECT_NAME}' }, d: { image: d, profiles: [debug] }, t: { image: t, profiles: [test] } }\n",
      "two.yaml": "services: { a: { command: two } }\n",
    },
  },
  {
    name: "named profiles and a dependency on an inactive service",
    files: {
      "compose.yaml":
        "services: { a: { image: a, depends_on: { t: { condition: service_started, required: false } } }, b: { image: b, profiles: [x, y] }, t: { image: t, profiles: [z] } }\n",
    },
    profiles: ["y"],
  },
  {
    name: "includes that have a folder, variables and conflicts",
    files: {
      "compose.yaml":
        "include: [sub/compose.yaml, { path: [other/a.yaml, other/b.yaml], project_directory: other, env_file: other/x.env }, { path: other/c.yaml, project_directory: '' }]\nservices: { a: { image: 'a-${V:-none}', depends_on: [inner] }, inner: { command: outer } }\n",
      "sub/compose.yaml":
        "services: { inner: { image: 'i-${V}', command: inner, env_file: in.env, volumes: ['./data:/data', 'vol:/vol'], build: ., ports: ['1:1'] } }\nvolumes: { vol: {} }\n",
      "sub/.env": "V=sub\n",
      "sub/in.env": "IN=${V:-unset}\n",
      "other/a.yaml": "services: { o: { image: 'o-${X}', volumes: ['./d:/d'] } }\n",
      "other/b.yaml": "services: { o: { command: 'from ${X}' } }\n",
      "other/c.yaml": "services: { c: { image: c, volumes: ['./e:/e'] } }\n",
      "other/x.env": "X=from-x\n",
    },
  },
  {
    name: "extends in one file, across files and in chains",
    files: {
      "compose.yaml": `services:
  base: { image: x, environment: { A: "1", B: "1" }, ports: ["80:80"], command: base, labels: [a=1], volumes: ["./here:/v"] }
  a: { extends: base, environment: [B=2], ports: ["81:81"] }
  b: { extends: { service: a }, command: b, volumes: ["./there:/v"] }
  c: { extends: { file: common/base.yaml, service: web }, environment: { C: c } }
  d: { extends: c, image: d }
`,
      "common/base.yaml":
        "services: { core: { image: core, env_file: core.env, volumes: ['./data:/data'] }, web: { extends: core, build: ./web, environment: { C: base, D: d } } }\n",
      "common/core.env": "CORE=1\n",
    },
  },
];
