import { describe, expect, it } from "vitest";
import { routeOf } from "../../../../src/runtimes/dagger/engine-host/exec-transport.js";

const commands = (runnerHost: string | null) => {
  const route = routeOf(runnerHost);
  return route.kind === "ways" ? route.ways.map(({ argv }) => argv.join(" ")) : route;
};

describe("routeOf", () => {
  it.each([
    ["unix:///run/dagger/engine.sock", ["sh"]],
    ["tcp://127.0.0.1:1234", ["sh"]],
    ["tcp://localhost:1234", ["sh"]],
    ["tcp://[::1]:1234", ["sh"]],
    ["docker-container://my-engine", ["docker exec -i my-engine sh"]],
    ["container+podman://my-engine", ["podman exec -i my-engine sh"]],
    ["podman-container://my-engine", ["podman exec -i my-engine sh"]],
    ["container+nerdctl://my-engine", ["nerdctl exec -i my-engine sh"]],
    ["container+finch://my-engine", ["finch exec -i my-engine sh"]],
    ["docker-image://registry.example/engine:v0.21.8", ["docker exec -i dagger-engine-v0.21.8 sh"]],
    [
      "image+podman://registry.example:5000/engine:v0.21.8?cpus=2&memory=4gb",
      ["podman exec -i dagger-engine-v0.21.8 sh"],
    ],
    ["image+nerdctl://registry.example/engine", ["nerdctl exec -i dagger-engine-latest sh"]],
    [
      `image+docker://registry.example/engine:v1@sha256:${"ab".repeat(32)}`,
      ["docker exec -i dagger-engine-abababababababab sh"],
    ],
    ["image+docker://engine:v1?container=mine", ["docker exec -i mine sh"]],
    ["kube-pod://engine-0", ["kubectl exec -i engine-0 -- sh"]],
    [
      "kube-pod://engine-0?context=arn:aws:eks:eu/one&namespace=dagger&container=engine",
      ["kubectl exec -i --context=arn:aws:eks:eu/one --namespace=dagger --container=engine engine-0 -- sh"],
    ],
  ])("the host of %s is entered with its program", (runnerHost, argv) => {
    expect(commands(runnerHost)).toEqual(argv);
  });

  it("an address without a program tries docker, podman, finch and nerdctl", () => {
    const programs = ["docker", "podman", "finch", "nerdctl"];
    expect(commands("container://mine")).toEqual(programs.map((program) => `${program} exec -i mine sh`));
    expect(commands("image://engine:v2")).toEqual(programs.map((program) => `${program} exec -i dagger-engine-v2 sh`));
    expect(routeOf(null)).toEqual({ kind: "unnamed", programs });
    expect(routeOf("")).toEqual({ kind: "unnamed", programs });
  });

  it.each([
    ["tcp://10.1.2.3:1234", /another machine \(10\.1\.2\.3\)/],
    ["tcp://127.example.com:1234", /another machine/],
    ["ssh://build@host", /another machine/],
    ["tls://host:1", /another machine/],
    ["dagger-cloud://default", /another machine/],
    ["container+apple://mine", /"apple" cannot be entered/],
    ["engine", /not a runner host/],
    ["kube-pod://", /pod/],
    ["kube-pod://[pod", /not a kube-pod address/],
    // A name never becomes an option or a second argument.
    ["docker-container://--privileged", /not the name of a container/],
    ["docker-container://a b", /not the name/],
    ["docker-container://", /not the name/],
    ["docker-image://engine:v1?container=-x", /not the name/],
    ["kube-pod://-x", /not the name of a pod|no kube-pod/],
  ])("the host of %s cannot be entered, with the reason", (runnerHost, reason) => {
    expect(routeOf(runnerHost)).toMatchObject({ kind: "unreachable", reason: expect.stringMatching(reason) });
  });
});
