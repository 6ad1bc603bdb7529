import type { DeviceRule } from "./pod-devices.ts";

/* The part of the instruction set of BPF that is needed here, linux/bpf.h and linux/bpf_common.h. */

const LOAD_WORD = 0x61;
const AND_WORD = 0x54;
const SHIFT_RIGHT_WORD = 0x74;
const MOVE_WORD = 0xb4;
const MOVE_WORD_FROM = 0xbc;
const JUMP_UNLESS = 0x55;
const JUMP_UNLESS_SAME = 0x5d;
const EXIT = 0x95;

/** Registers: the context and what we compute, kind, access, major and minor. */
const [RESULT, WORK, KIND, ACCESS, MAJOR, MINOR] = [0, 1, 2, 3, 4, 5] as const;

/** BPF_DEVCG_DEV_ and BPF_DEVCG_ACC_. */
const KINDS = { block: 1, char: 2 } as const;
const ACCESSES = { m: 1, r: 2, w: 4 } as const;

interface Instruction {
	readonly code: number;
	readonly to?: number;
	readonly from?: number;
	/** Of a load into the context, of a jump the instructions to leave out. */
	readonly offset?: number;
	readonly value?: number;
}

/**
 * A program of type BPF_PROG_TYPE_CGROUP_DEVICE, the form in which version 2 of cgroups restricts devices: it allows what
 * the rules allow and nothing else. The kernel hands it `struct bpf_cgroup_dev_ctx`.
 */
export function deviceProgram(rules: readonly DeviceRule[]): Buffer {
	const program: Instruction[] = [
		{ code: LOAD_WORD, to: KIND, from: WORK, offset: 0 },
		{ code: MOVE_WORD_FROM, to: ACCESS, from: KIND },
		{ code: AND_WORD, to: KIND, value: 0xffff },
		{ code: SHIFT_RIGHT_WORD, to: ACCESS, value: 16 },
		{ code: LOAD_WORD, to: MAJOR, from: WORK, offset: 4 },
		{ code: LOAD_WORD, to: MINOR, from: WORK, offset: 8 },
		...rules.flatMap(allow),
		...answer(0),
	];
	return Buffer.concat(program.map(encode));
}

/** Allowed when the device is this one and nothing is asked for but what the rule says; otherwise the next rule. */
function allow({ kind, major, minor, access }: DeviceRule): Instruction[] {
	const mask = [...access].reduce((sum, letter) => sum | ACCESSES[letter as keyof typeof ACCESSES], 0);
	const checks: Instruction[] = [
		{ code: JUMP_UNLESS, to: KIND, value: KINDS[kind] },
		{ code: JUMP_UNLESS, to: MAJOR, value: major },
		...(minor === undefined ? [] : [{ code: JUMP_UNLESS, to: MINOR, value: minor }]),
		{ code: MOVE_WORD_FROM, to: WORK, from: ACCESS },
		{ code: AND_WORD, to: WORK, value: mask },
		{ code: JUMP_UNLESS_SAME, to: WORK, from: ACCESS },
	];
	const rule = [...checks, ...answer(1)];
	return rule.map((one, index) =>
		one.code === JUMP_UNLESS || one.code === JUMP_UNLESS_SAME
			? { ...one, offset: rule.length - index - 1 }
			: one,
	);
}

function answer(value: 0 | 1): Instruction[] {
	return [{ code: MOVE_WORD, to: RESULT, value }, { code: EXIT }];
}

/** struct bpf_insn. */
function encode({ code, to = 0, from = 0, offset = 0, value = 0 }: Instruction): Buffer {
	const bytes = Buffer.alloc(8);
	bytes.writeUInt8(code, 0);
	bytes.writeUInt8((from << 4) | to, 1);
	bytes.writeInt16LE(offset, 2);
	bytes.writeInt32LE(value, 4);
	return bytes;
}
