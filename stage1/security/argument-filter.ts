import { fail } from "../../lib/errors.ts";

/*
 * Filters that look at arguments, assembled by hand: libseccomp cannot compare the arguments of socket(2) for 32-bit
 * programs, because it also thinks of socketcall(2). Layout of what a filter sees: struct seccomp_data, seccomp(2).
 */

type Call = "bpf" | "clone" | "clone3" | "personality" | "socket" | "socketcall";

/** System call tables by the audit architecture of their callers. x32 shares that of x86-64. */
interface CallTable {
	readonly architecture: number;
	readonly numbers: Readonly<Partial<Record<Call, number>>>;
}

const X32_BIT = 0x40000000;

const X64: CallTable["numbers"] = { bpf: 321, clone: 56, clone3: 435, personality: 135, socket: 41 };

const TABLES: Readonly<Record<string, readonly CallTable[]>> = {
	x64: [
		{ architecture: 0xc000003e, numbers: X64 },
		{ architecture: 0xc000003e, numbers: mapValues(X64, (number) => X32_BIT + number) },
		{
			architecture: 0x40000003,
			numbers: { bpf: 357, clone: 120, clone3: 435, personality: 136, socket: 359, socketcall: 102 },
		},
	],
	arm64: [
		{
			architecture: 0xc00000b7,
			numbers: { bpf: 280, clone: 220, clone3: 435, personality: 92, socket: 198 },
		},
		{
			architecture: 0x40000028,
			numbers: { bpf: 386, clone: 120, clone3: 435, personality: 136, socket: 281 },
		},
	],
};

function mapValues(numbers: CallTable["numbers"], change: (number: number) => number): CallTable["numbers"] {
	return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, change(number)]));
}

/** (argument & mask) === value, on the low 32 bits: the kernel uses no more of these arguments. */
interface Condition {
	readonly argument: number;
	readonly mask: number;
	readonly value: number;
	/** It holds when they are not equal. */
	readonly differs?: boolean;
}

interface Rule {
	readonly call: Call;
	readonly errno: number;
	/** All must hold. */
	readonly when: readonly Condition[];
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

const AF_NETLINK = 16;
const AF_ALG = 38;
const AF_VSOCK = 40;
const NETLINK_AUDIT = 9;

const equals = (argument: number, value: number): Condition => ({ argument, mask: 0xffffffff, value });

/** For every process of a pod, its systemd included: the kernel's audit log has no namespaces. */
const BASELINE_RULES: readonly Rule[] = [
	{ call: "socket", errno: EAFNOSUPPORT, when: [equals(0, AF_NETLINK), equals(2, NETLINK_AUDIT)] },
];

/** For every process of an app, whatever its isolators say. systemd restricts the devices of apps with such programs. */
const PROCESS_RULES: readonly Rule[] = [{ call: "bpf", errno: EPERM, when: [] }];

/** CLONE_NEW* of linux/sched.h; clone3(2) hides its flags in memory and is refused as a whole. */
const CLONE_NEW = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];

/** No namespaces. */
const CLONE_RULES: readonly Rule[] = [
	...CLONE_NEW.map(
		(flag): Rule => ({ call: "clone", errno: EPERM, when: [{ argument: 0, mask: flag, value: flag }] }),
	),
	{ call: "clone3", errno: ENOSYS, when: [] },
];

/** Values of personality(2) that docker allows: Linux, BSD, both with a fixed address layout, and asking. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

const PERSONALITY_RULES: readonly Rule[] = [
	{
		call: "personality",
		errno: EPERM,
		when: PERSONALITIES.map((value) => ({ ...equals(0, value), differs: true })),
	},
];

/** No families that reach into the kernel or past the pod's network. */
const SOCKET_RULES: readonly Rule[] = [
	{ call: "socket", errno: EAFNOSUPPORT, when: [equals(0, AF_ALG)] },
	{ call: "socket", errno: EAFNOSUPPORT, when: [equals(0, AF_VSOCK)] },
	// 32-bit programs reach any family through this call, whose arguments a filter cannot see.
	{ call: "socketcall", errno: ENOSYS, when: [] },
];

const RULES = {
	baseline: BASELINE_RULES,
	process: PROCESS_RULES,
	/** All three that follow. */
	app: [...CLONE_RULES, ...SOCKET_RULES, ...PERSONALITY_RULES],
	clone: CLONE_RULES,
	socket: SOCKET_RULES,
	personality: PERSONALITY_RULES,
} as const;

/** The instructions of one of these filters, for the machine's architecture as Node names it. */
export const argumentFilter = (name: keyof typeof RULES, arch: string): Buffer => assemble(arch, RULES[name]);

const LOAD = 0x20;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const OFFSET_NUMBER = 0;
const OFFSET_ARCHITECTURE = 4;
const offsetOfArgument = (index: number): number => 16 + 8 * index;
const RET_ALLOW = 0x7fff0000;
const RET_ERRNO = 0x00050000;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

function assemble(arch: string, rules: readonly Rule[]): Buffer {
	const tables = TABLES[arch];
	if (tables === undefined) fail("architecture-unknown", `no system call filter is known for ${arch}`);
	const instructions = tables.flatMap((table) => rules.flatMap((rule) => assembleRule(table, rule)));
	return encode([...instructions, [RETURN, 0, 0, RET_ALLOW]]);
}

/** One rule as a block that falls through to the next when it does not hold. */
function assembleRule(table: CallTable, rule: Rule): Instruction[] {
	const number = table.numbers[rule.call];
	if (number === undefined) return [];
	const tests: Instruction[][] = [
		[[LOAD, 0, 0, OFFSET_ARCHITECTURE]],
		[[LOAD, 0, 0, OFFSET_NUMBER]],
		...rule.when.map(({ argument, mask }): Instruction[] => [
			[LOAD, 0, 0, offsetOfArgument(argument)],
			[AND, 0, 0, mask],
		]),
	];
	const values = [table.architecture, number, ...rule.when.map(({ value }) => value)];
	const differs = [false, false, ...rule.when.map((condition) => condition.differs === true)];
	const length = tests.flat().length + tests.length + 1;
	const block: Instruction[] = [];
	tests.forEach((test, index) => {
		block.push(...test);
		const rest = length - block.length - 1;
		const [ifTrue, ifFalse] = differs[index] ? [rest, 0] : [0, rest];
		block.push([JUMP_IF_EQUAL, ifTrue, ifFalse, values[index] as number]);
	});
	block.push([RETURN, 0, 0, RET_ERRNO | rule.errno]);
	return block;
}

/** struct sock_filter, linux/filter.h: 16-bit code, two 8-bit jumps, 32-bit value. */
function encode(instructions: readonly Instruction[]): Buffer {
	const buffer = Buffer.alloc(instructions.length * 8);
	instructions.forEach(([code, ifTrue, ifFalse, value], index) => {
		buffer.writeUInt16LE(code, index * 8);
		buffer.writeUInt8(ifTrue, index * 8 + 2);
		buffer.writeUInt8(ifFalse, index * 8 + 3);
		buffer.writeUInt32LE(value >>> 0, index * 8 + 4);
	});
	return buffer;
}
