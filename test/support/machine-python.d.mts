export const PYTHON_VARIABLE: string;
export function machinePython(): [home: string, program: string];
