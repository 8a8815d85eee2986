import type { GetPromptResult, PromptMessage } from "@modelcontextprotocol/sdk/types.js";
import { PNG } from "./fixture-tools.js";

const user = (content: PromptMessage["content"]): PromptMessage => ({ role: "user", content });
const argument = (name: string) => ({ name, description: `Argument ${name}`, required: true });
const prompt = (name: string, ...names: string[]) => ({
  name,
  description: "Fixture of the conformance suite.",
  arguments: names.map(argument),
});

export const FIXTURE_PROMPTS = [
  prompt("test_simple_prompt"),
  prompt("test_prompt_with_arguments", "arg1", "arg2"),
  prompt("test_prompt_with_embedded_resource", "resourceUri"),
  prompt("test_prompt_with_image"),
];

/** Undefined: no fixture. */
export function getFixturePrompt(name: string, input: Record<string, string>): GetPromptResult | undefined {
  const { arg1, arg2, resourceUri: uri = "" } = input;
  const image = user({ type: "image", data: PNG, mimeType: "image/png" });
  const text = (of: string) => user({ type: "text", text: of });
  const messages: Record<string, PromptMessage[]> = {
    test_simple_prompt: [text("This is a simple prompt for testing.")],
    test_prompt_with_arguments: [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
    test_prompt_with_embedded_resource: [
      user({
        type: "resource",
        resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." },
      }),
      text("Please process the embedded resource above."),
    ],
    test_prompt_with_image: [image, text("Please analyze the image above.")],
  };
  const found = messages[name];
  return found === undefined ? undefined : { messages: found };
}
