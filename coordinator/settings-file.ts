import { readFileSync } from 'node:fs';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { type Settings, settingsSchema } from '../aggregation/settings.ts';

/** Task settings from a JSON file. @throws CommandError naming file and field */
export function readSettings(file: string): Settings {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CommandError(
      EXIT.input,
      `${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : `not JSON: ${(error as Error).message}`}`,
    );
  }
  const parsed = settingsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `${file}: ${issue.path.join('.') || '(top)'}: ${issue.message}`);
  throw new CommandError(EXIT.input, lines.join('\n'));
}
