declare const __CRASH_POINTS__: boolean | undefined;

/**
 * A place where the tests kill the program: the process ends here with SIGKILL when the environment variable
 * RKT_CRASH_AT names the point. The release build has no trace of it (`define` of the bundler).
 */
export function crashPoint(name: string): void {
	if (typeof __CRASH_POINTS__ === "undefined" || !__CRASH_POINTS__) return;
	if (process.env.RKT_CRASH_AT === name) process.kill(process.pid, "SIGKILL");
}
