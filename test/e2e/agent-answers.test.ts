/** Characters of the results of an agent's work. `node bench/agent-answers.mjs <build>` measures another build. */
import { expect, test } from "vitest";
import { agentAnswers } from "../../bench/agent-answers.mjs";

/** An agent's work was measured with 37 calls and 114,000 characters; brief results must cost at most half. */
const MOST_CHARACTERS = 57_000;

test("brief results cost at most half the characters of whole reports", async () => {
  const brief = await agentAnswers();
  const whole = await agentAnswers(undefined, { detail: true });
  expect(brief.calls).toBe(whole.calls);
  expect(brief.characters).toBeLessThanOrEqual(MOST_CHARACTERS);
  expect(brief.characters).toBeLessThanOrEqual(whole.characters / 2);
}, 180_000);
