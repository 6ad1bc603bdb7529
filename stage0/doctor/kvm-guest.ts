import * as fs from "node:fs";
import type Koffi from "koffi";
import { loadKoffi } from "../../lib/syscall/linux.ts";

/* The interface of linux/kvm.h for x86-64: request numbers with the sizes of their structures, and offsets in those. */
const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE = 0xae04;
const KVM_CREATE_VCPU = 0xae41;
const KVM_SET_USER_MEMORY_REGION = 0x4020ae46;
const KVM_SET_TSS_ADDR = 0xae47;
const KVM_RUN = 0xae80;
const KVM_SET_REGS = 0x4090ae82;
const KVM_GET_SREGS = 0x8138ae83;
const KVM_SET_SREGS = 0x4138ae84;
const SREGS_SIZE = 312;
const SREGS_CS_BASE = 0;
const SREGS_CS_SELECTOR = 12;
const REGS_SIZE = 144;
const REGS_RIP = 128;
const REGS_RFLAGS = 136;
const RUN_EXIT_REASON = 8;
const RUN_IO_PORT = 34;
const RUN_IO_DATA_OFFSET = 40;
const API_VERSION = 12;
/** A place below 4 GiB that no guest of ours has memory at; only old Intel processors use it. */
const TSS_ADDRESS = 0xfffbd000;

const EXIT_IO = 2;
const EXIT_HLT = 5;
const EXIT_NAMES: Readonly<Record<number, string>> = {
	6: "reads memory that is not there",
	8: "shuts down",
	9: "cannot be entered",
	17: "uses an instruction that the hypervisor cannot do",
};

const PAGE = 4096;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_SHARED_ANONYMOUS = 0x21;

const PORT = 0x3f8;
/**
 * In real mode at address 0: says `a`, does what every kernel does early and an emulator of a few instructions does not
 * (x87, popcnt), says `z`, and halts.
 */
const CODE = Uint8Array.from([
	...[0xba, 0xf8, 0x03], // mov dx, 0x3f8
	...[0xb0, 0x61, 0xee], // mov al, 'a'; out dx, al
	...[0x9b, 0xdb, 0xe2], // fclex
	...[0xf3, 0x0f, 0xb8, 0xc0], // popcnt ax, ax
	...[0xb0, 0x7a, 0xee], // mov al, 'z'; out dx, al
	0xf4, // hlt
]);
const EXPECTED = "az";

/** Why KVM runs no guest; undefined when one has run to its end. It may hold this thread for ever. */
export function runKvmGuest(device = "/dev/kvm"): string | undefined {
	if (process.arch !== "x64") return `this probe knows no ${process.arch}`;
	let kvm: number;
	try {
		kvm = fs.openSync(device, "r+");
	} catch (error) {
		return `${device}: ${(error as NodeJS.ErrnoException).code}`;
	}
	try {
		return runIn(createKernel(), kvm);
	} catch (error) {
		return (error as Error).message;
	} finally {
		fs.closeSync(kvm);
	}
}

/** The calls of libc, each throwing with its name. */
interface Kernel {
	ioctl(fd: number, request: number, argument: number | bigint, name: string): number;
	ioctlBuffer(fd: number, request: number, argument: Buffer, name: string): void;
	map(fd: number, size: number): { readonly address: bigint; readonly bytes: DataView };
}

function createKernel(): Kernel {
	const koffi: typeof Koffi = loadKoffi();
	const libc = koffi.load("libc.so.6");
	const number = libc.func("int ioctl(int, unsigned long, uint64_t)");
	const buffer = libc.func("int ioctl(int, unsigned long, _Inout_ uint8_t*)");
	const mmap = libc.func("void *mmap(void*, size_t, int, int, int, long)");
	const check = (result: number, name: string): number => {
		if (result >= 0) return result;
		throw new Error(`${name} fails with error ${koffi.errno()}`);
	};
	return {
		ioctl: (fd, request, argument, name) => check(number(fd, request, argument), name),
		ioctlBuffer: (fd, request, argument, name) => {
			check(buffer(fd, request, argument), name);
		},
		map: (fd, size) => {
			const pointer = mmap(null, size, PROT_READ_WRITE, fd < 0 ? MAP_SHARED_ANONYMOUS : MAP_SHARED, fd, 0);
			const address = koffi.address(pointer);
			if (address === 0xffffffffffffffffn) throw new Error(`mmap fails with error ${koffi.errno()}`);
			return { address, bytes: new DataView(koffi.view(pointer, size)) };
		},
	};
}

/** The mappings go with the process, which is a child made for this. */
function runIn(kernel: Kernel, kvm: number): string | undefined {
	if (kernel.ioctl(kvm, KVM_GET_API_VERSION, 0, "KVM_GET_API_VERSION") !== API_VERSION)
		return "KVM has another interface";
	const machine = kernel.ioctl(kvm, KVM_CREATE_VM, 0, "KVM_CREATE_VM");
	kernel.ioctl(machine, KVM_SET_TSS_ADDR, TSS_ADDRESS, "KVM_SET_TSS_ADDR");
	const memory = kernel.map(-1, PAGE);
	CODE.forEach((byte, index) => {
		memory.bytes.setUint8(index, byte);
	});
	const region = Buffer.alloc(32);
	region.writeBigUInt64LE(BigInt(PAGE), 16);
	region.writeBigUInt64LE(memory.address, 24);
	kernel.ioctlBuffer(machine, KVM_SET_USER_MEMORY_REGION, region, "KVM_SET_USER_MEMORY_REGION");
	const cpu = kernel.ioctl(machine, KVM_CREATE_VCPU, 0, "KVM_CREATE_VCPU");
	const run = kernel.map(cpu, kernel.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE")).bytes;
	startAtZero(kernel, cpu);
	return follow(kernel, cpu, run);
}

function startAtZero(kernel: Kernel, cpu: number): void {
	const special = Buffer.alloc(SREGS_SIZE);
	kernel.ioctlBuffer(cpu, KVM_GET_SREGS, special, "KVM_GET_SREGS");
	special.writeBigUInt64LE(0n, SREGS_CS_BASE);
	special.writeUInt16LE(0, SREGS_CS_SELECTOR);
	kernel.ioctlBuffer(cpu, KVM_SET_SREGS, special, "KVM_SET_SREGS");
	const general = Buffer.alloc(REGS_SIZE);
	general.writeBigUInt64LE(0n, REGS_RIP);
	// The bit that is always set.
	general.writeBigUInt64LE(2n, REGS_RFLAGS);
	kernel.ioctlBuffer(cpu, KVM_SET_REGS, general, "KVM_SET_REGS");
}

function follow(kernel: Kernel, cpu: number, run: DataView): string | undefined {
	let said = "";
	while (said.length <= EXPECTED.length) {
		kernel.ioctl(cpu, KVM_RUN, 0, "KVM_RUN");
		const reason = run.getUint32(RUN_EXIT_REASON, true);
		if (reason === EXIT_HLT && said === EXPECTED) return undefined;
		if (reason !== EXIT_IO || run.getUint16(RUN_IO_PORT, true) !== PORT) {
			return `a guest ${EXIT_NAMES[reason] ?? `ends for reason ${reason}`} after it has said "${said}"`;
		}
		said += String.fromCharCode(run.getUint8(Number(run.getBigUint64(RUN_IO_DATA_OFFSET, true))));
	}
	return `a guest says "${said}" and not "${EXPECTED}"`;
}
