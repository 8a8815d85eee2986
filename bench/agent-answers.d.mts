export function agentAnswers(
  binary?: string,
  more?: Record<string, unknown>,
): Promise<{ calls: number; characters: number; byTool: Record<string, number> }>;
