/**
 * A shared object for LD_PRELOAD, assembled here so that no compiler is needed. It runs a shell script in a new
 * session.
 */
const SIZE = 64 + 2 * 56;

/** Machine code of `if (fork() == 0) { setsid(); execve("/bin/sh", ["/bin/sh", "-c", script], []) }`. */
function payload(script: string): Buffer {
  const code: number[] = [];
  const holes: { at: number; text: string }[] = [];
  const bytes = (...more: number[]): void => void code.push(...more);
  /** lea of a text's address, relative to the next instruction. */
  const address = (register: number, text: string): void => {
    bytes(0x48, 0x8d, register, 0, 0, 0, 0);
    holes.push({ at: code.length - 4, text });
  };
  bytes(0xb8, 57, 0, 0, 0, 0x0f, 0x05, 0x85, 0xc0); // fork; test eax
  bytes(0x74, 1, 0xc3); // jz +1; ret
  bytes(0xb8, 112, 0, 0, 0, 0x0f, 0x05); // setsid
  bytes(0x31, 0xd2, 0x52); // no environment; end of argv
  address(0x05, script);
  bytes(0x50);
  address(0x05, "-c");
  bytes(0x50);
  address(0x3d, "/bin/sh");
  bytes(0x57, 0x48, 0x89, 0xe6); // argv
  bytes(0xb8, 59, 0, 0, 0, 0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x0f, 0x05); // execve; exit
  let end = code.length;
  const texts: Buffer[] = [];
  const whole = Buffer.from(code);
  for (const { at, text } of holes) {
    whole.writeInt32LE(end - (at + 4), at);
    texts.push(Buffer.from(`${text}\0`));
    end += Buffer.byteLength(text) + 1;
  }
  return Buffer.concat([whole, ...texts]);
}

/** x86-64 ELF with one loaded segment whose initialiser is the payload. */
export function preloadLibrary(script: string): Buffer {
  const code = payload(script);
  const dynamicAt = SIZE + Math.ceil(code.length / 16) * 16;
  const entries: [tag: number, value: number][] = [
    [5, dynamicAt + 6 * 16], // string table
    [6, dynamicAt + 6 * 16], // symbol table
    [10, 16],
    [11, 24],
    [12, SIZE], // initialiser
    [0, 0],
  ];
  const file = Buffer.alloc(dynamicAt + entries.length * 16 + 32);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(file);
  file.writeUInt16LE(3, 16); // shared object
  file.writeUInt16LE(62, 18); // x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  const segment = (at: number, type: number, offset: number, size: number): void => {
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(7, at + 4);
    for (const [field, value] of [
      [8, offset],
      [16, offset],
      [24, offset],
      [32, size],
      [40, size],
      [48, type === 1 ? 4096 : 8],
    ] as const)
      file.writeBigUInt64LE(BigInt(value), at + field);
  };
  segment(64, 1, 0, file.length);
  segment(64 + 56, 2, dynamicAt, entries.length * 16);
  code.copy(file, SIZE);
  entries.forEach(([tag, value], at) => {
    file.writeBigUInt64LE(BigInt(tag), dynamicAt + at * 16);
    file.writeBigUInt64LE(BigInt(value), dynamicAt + at * 16 + 8);
  });
  return file;
}
