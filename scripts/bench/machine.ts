import * as si from "systeminformation";

/** One paragraph about the machine, for the head of the figures. */
export async function describeMachine(): Promise<string> {
	const [cpu, memory, system] = await Promise.all([si.cpu(), si.mem(), si.osInfo()]);
	const load = await si.currentLoad();
	return [
		`${cpu.manufacturer} ${cpu.brand}, ${cpu.cores} cores, ${(memory.total / 2 ** 30).toFixed(0)} GiB`,
		`${system.distro} ${system.release}, Linux ${system.kernel}`,
		`Node ${process.version}`,
		`load average before ${load.avgLoad}`,
		new Date().toISOString().slice(0, 10),
	].join("; ");
}
