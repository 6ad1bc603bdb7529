/** Milliseconds of processor time that this process has used: unlike a clock, not slowed down by other processes. */
export function cpuTime(): number {
	const { user, system } = process.cpuUsage();
	return (user + system) / 1000;
}
