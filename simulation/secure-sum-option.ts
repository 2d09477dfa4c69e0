import { CommandError, EXIT } from '../aggregation/exit.ts';
import { SECURE_SUMS, type SecureSumName } from '../aggregation/secure-sum.ts';

/** The value of `--secure-sum`. @throws CommandError when there is none of this name among `names` */
export function secureSumNamed(text: string, names: readonly SecureSumName[] = SECURE_SUMS): SecureSumName {
  const name = names.find((one) => one === text);
  if (name === undefined)
    throw new CommandError(EXIT.usage, `there is no secure sum "${text}" here; choose ${names.join(' or ')}`);
  return name;
}
