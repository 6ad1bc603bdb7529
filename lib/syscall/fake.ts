import { type Syscall, SyscallError } from "./syscall.ts";

export interface RecordedCall {
	readonly name: keyof Syscall;
	readonly args: readonly unknown[];
}

export interface FakeSyscall extends Syscall {
	/** Every call in order. */
	readonly calls: RecordedCall[];
	/** Makes the next call of this name fail with an errno name such as "EPERM". */
	failNext(name: keyof Syscall, code: string): void;
	/** The arguments of all calls of one name. */
	argumentsOf(name: keyof Syscall): (readonly unknown[])[];
}

/** A kernel that does nothing and remembers everything, so that mounting code is tested without root. */
export function createFakeSyscall(results: Partial<Syscall> = {}): FakeSyscall {
	const calls: RecordedCall[] = [];
	const failures = new Map<string, string[]>();
	let nextDescriptor = 1000;

	const record = (name: keyof Syscall, args: readonly unknown[]): unknown => {
		calls.push({ name, args });
		const code = failures.get(name)?.shift();
		if (code !== undefined) throw new SyscallError(name, code, 0, args.map(String).join(" "));
		const override = results[name] as ((...rest: readonly unknown[]) => unknown) | undefined;
		if (override) return override(...args);
		return defaultResult(name);
	};
	const defaultResult = (name: keyof Syscall): unknown => {
		if (name === "openTree" || name === "openat2") return nextDescriptor++;
		if (name === "getXattrs") return new Map();
		if (name === "umask") return 0o022;
		if (name === "execve") throw new Error("the fake kernel cannot execve");
		return undefined;
	};

	const extras = {
		calls,
		failNext: (name: keyof Syscall, code: string) => {
			failures.set(name, [...(failures.get(name) ?? []), code]);
		},
		argumentsOf: (name: keyof Syscall) => calls.filter((call) => call.name === name).map((call) => call.args),
	};
	return new Proxy(extras as FakeSyscall, {
		get: (target, property) =>
			property in target
				? target[property as keyof FakeSyscall]
				: (...args: unknown[]) => record(property as keyof Syscall, args),
	});
}
