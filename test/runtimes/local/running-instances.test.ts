import { afterEach, describe, expect, it } from "vitest";
import {
  instanceOfProcess,
  instanceOfUser,
  remember,
  runsElsewhere,
} from "../../../src/runtimes/local/running-instances.js";

describe("running instances", () => {
  const forget: (() => void)[] = [];
  afterEach(() => {
    for (const one of forget.splice(0)) one();
  });
  const instance = (fields: Partial<Parameters<typeof remember>[0]> = {}) => {
    const one = { project: "shop", service: "web", pid: 4_194_300, uid: 4_194_300, ...fields };
    forget.push(remember(one));
    return one;
  };

  it("a process belongs to the instance that started it, directly or through others", () => {
    const one = instance({ pid: process.ppid });
    expect(instanceOfProcess(process.pid)).toBe(one);
    expect(instanceOfProcess(process.ppid)).toBe(one);
    expect(instanceOfProcess(1)).toBeNull();
    expect(instanceOfProcess(4_194_302)).toBeNull();
  });

  it("a user without a range of services belongs to no instance", () => {
    instance({ uid: 1000 });
    expect(instanceOfUser(1000)).toBeNull();
  });

  it("a service runs elsewhere when another project has it", () => {
    instance({ project: "running-instances-test" });
    expect(runsElsewhere("another")).toBe(true);
    forget.splice(0)[0]?.();
  });
});
