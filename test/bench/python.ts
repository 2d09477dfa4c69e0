import { type ExecFileException, execFile } from 'node:child_process';

/** The Python that the user named, with PARLEY_PYTHON. */
export const namedPython = (): string | undefined => process.env['PARLEY_PYTHON'];

export interface Question {
  /** given to it on standard input */
  readonly input?: string;
  /** added to this process's */
  readonly env?: Readonly<Record<string, string>>;
  /** it is ended after this long; without it, never */
  readonly timeoutMs?: number;
}

/**
 * What a Python prints last, read as JSON. Libraries print warnings before it.
 *
 * @param python - path or name of the interpreter
 * @throws Error of one line when it is not there, fails, takes too long, or its last line is no JSON
 */
export async function askPython(python: string, args: readonly string[], question: Question = {}): Promise<unknown> {
  const last = (await runPython(python, args, question)).trimEnd().split('\n').at(-1)!;
  try {
    return JSON.parse(last);
  } catch {
    throw new Error(`${python} should print JSON last, and printed ${JSON.stringify(last.slice(0, 100))}`);
  }
}

/**
 * What a Python prints.
 *
 * @throws Error of one line when it is not there, fails or takes too long
 */
export function runPython(python: string, args: readonly string[], question: Question = {}): Promise<string> {
  const { input = '', env, timeoutMs = 0 } = question;
  const options = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL', // pip waits for the network through a SIGTERM
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26,
  } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(python, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${python} ${whatHappened(error, stderr, timeoutMs)}`));
    });
    child.stdin?.on('error', () => {}); // it may end without having read everything; how it ended says more
    child.stdin?.end(input);
  });
}

function whatHappened(error: ExecFileException, stderr: string, timeoutMs: number): string {
  if (error.killed) return `took more than ${timeoutMs / 1000} s`;
  if (typeof error.code === 'string') return `cannot be run (${error.code})`;
  const lines = stderr.trimEnd().split('\n');
  const said = lines.findLast((line) => /^(ERROR|\w*(Error|Exception)):/i.test(line)) ?? lines.at(-1);
  return `ended with ${error.code ?? error.signal}: ${said}`;
}
