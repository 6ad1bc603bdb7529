import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import {
	isInside,
	parseVolumeBounds,
	pinHostFile,
	placeOfHostFile,
} from "../../stage1/volumes/volume-bounds.ts";

const syscall = createLinuxSyscall();
const ROUNDS = 3000;

t.test("a link that is exchanged all the time is pinned to the place that is reported", async (t) => {
	const directory = fs.realpathSync(t.testdir({ inside: {}, outside: {} }));
	const at = (name: string): string => path.join(directory, name);
	const link = at("link");
	fs.symlinkSync("inside", link);
	const script = "while :; do for to in outside inside; do ln -s $to next && mv -T next link; done; done";
	const child = spawn("sh", ["-c", script], {
		cwd: directory,
		stdio: ["ignore", "pipe", "ignore"],
		detached: true,
	});
	const inodes = new Map(["inside", "outside"].map((name) => [at(name), fs.statSync(at(name)).ino]));
	const seen = new Set<string>();
	const until = Date.now() + 20_000;
	let wrong = 0;
	try {
		for (let round = 0; round < ROUNDS || (seen.size < 2 && Date.now() < until); round += 1) {
			const { fd, place } = pinHostFile(syscall, link);
			if (inodes.get(place) !== fs.fstatSync(fd).ino) wrong += 1;
			fs.closeSync(fd);
			seen.add(place);
		}
	} finally {
		process.kill(-(child.pid as number), "SIGKILL");
		// Its output is closed when its own children are gone too, which would fill the directory again.
		await once(child, "close");
	}
	t.equal(wrong, 0, "what is open is what was looked at");
	t.strictSame([...seen].sort(), [at("inside"), at("outside")], "and both were met");
});

t.test("links of processes lead nowhere", async (t) => {
	const directory = fs.realpathSync(t.testdir({ file: "" }));
	t.equal(placeOfHostFile(syscall, `${directory}/file`), `${directory}/file`);
	t.equal(placeOfHostFile(syscall, `/proc/self/root${directory}/file`), undefined);
	t.equal(placeOfHostFile(syscall, `/proc/self/cwd`), undefined);
	t.equal(placeOfHostFile(syscall, `${directory}/not/there`), undefined);
	t.throws(() => pinHostFile(syscall, `/proc/self/root/etc`), { code: "ELOOP" });
});

t.test("bounds are whole components, and only lists of lists are bounds", async (t) => {
	t.ok(isInside("/srv/a", ["/srv"]));
	t.ok(isInside("/srv", ["/var", "/srv"]));
	t.ok(isInside("/anything", ["/"]));
	t.notOk(isInside("/srv2", ["/srv"]));
	t.notOk(isInside("/srv", []));
	t.strictSame(parseVolumeBounds(undefined), []);
	t.strictSame(parseVolumeBounds('[["/srv"],[]]'), [["/srv"], []]);
	for (const text of ["{", '["/srv"]', "[[1]]", '{"a":[]}']) {
		t.throws(() => parseVolumeBounds(text), { code: "stage1-arguments-invalid" }, text);
	}
});
