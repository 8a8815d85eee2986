/** The last line of what a program said, without the space around it; `most` characters of it at most. */
export const lastLine = (said: string, most = 300): string => {
  const text = said.trim();
  return text.slice(text.lastIndexOf("\n") + 1, text.lastIndexOf("\n") + 1 + most).trimEnd();
};
