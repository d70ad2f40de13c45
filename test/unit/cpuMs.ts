/**
 * Milliseconds of processor time that this process has used. For what would take minutes if it were not linear: a busy
 * machine does not make it longer.
 */
export function cpuMs(): number {
	const { user, system } = process.cpuUsage();
	return (user + system) / 1_000;
}
