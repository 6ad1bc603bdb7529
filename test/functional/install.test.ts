import * as fs from "node:fs";
import * as path from "node:path";
import { Script } from "node:vm";
import { execa } from "execa";
import t from "tap";

t.test("install.sh puts rkt where packages want it, and uninstall.sh takes it away", async (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-install-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	const env = { DESTDIR: directory, PREFIX: "/usr" };
	await execa("sh", ["scripts/install.sh"], { env });
	const library = path.join(directory, "usr/lib/rkt");
	t.strictSame(fs.readdirSync(library).sort(), [
		"koffi.node",
		"rkt",
		"rkt.cjs",
		"rkt.cjs.cache",
		"stage1-images.json",
		"stage1-kvm-lkvm.aci",
		"stage1-kvm-uml.aci",
		"stage1-kvm.aci",
		"stage1-nspawn.aci",
	]);
	t.equal(fs.readlinkSync(path.join(directory, "usr/bin/rkt")), "/usr/lib/rkt/rkt");
	t.match((await execa(path.join(library, "rkt"), ["version"])).stdout, /^rkt Version: \d/);
	const unit = fs.readFileSync(path.join(directory, "usr/lib/systemd/system/rkt-gc.service"), "utf8");
	t.match(unit, /^ExecStart=\/usr\/bin\/rkt gc /m);

	await execa("sh", ["scripts/uninstall.sh"], { env });
	t.notOk(fs.existsSync(library));
	t.notOk(fs.existsSync(path.join(directory, "usr/bin/rkt")));
	const left = fs
		.readdirSync(directory, { recursive: true, withFileTypes: true })
		.filter((entry) => !entry.isDirectory());
	t.strictSame(left, [], "no file is left");
});

t.test("a symbolic link to the launcher works from anywhere", async (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-install-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	fs.symlinkSync(path.resolve("dist/rkt"), path.join(directory, "rkt"));
	const result = await execa("rkt", ["version"], {
		cwd: "/",
		env: { PATH: `${directory}:${process.env.PATH}` },
	});
	t.match(result.stdout, /^rkt Version: \d/);
});

t.test("V8 takes the code cache of the build", async (t) => {
	const source = fs.readFileSync("dist/rkt.cjs", "latin1");
	const wrapped = `(function(exports,require,module,__filename,__dirname){${source}\n})`;
	const cachedData = fs.readFileSync("dist/rkt.cjs.cache");
	const script = new Script(wrapped, { filename: path.resolve("dist/rkt.cjs"), cachedData });
	t.equal(script.cachedDataRejected, false);
});

t.test("without a code cache, or with a damaged one, rkt runs all the same", async (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-install-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	for (const name of ["rkt", "rkt.cjs", "koffi.node"])
		fs.copyFileSync(`dist/${name}`, path.join(directory, name));
	const version = async (): Promise<string> => (await execa(path.join(directory, "rkt"), ["version"])).stdout;
	t.match(await version(), /^rkt Version: \d/);
	fs.writeFileSync(path.join(directory, "rkt.cjs.cache"), "no cache");
	t.match(await version(), /^rkt Version: \d/);
});

t.test("setup.sh is quiet when all is there, and refuses what it does not know", async (t) => {
	const quiet = await execa("sh", ["scripts/setup.sh", "build"], { all: true });
	t.equal(quiet.all, "");
	const unknown = await execa("sh", ["scripts/setup.sh", "nonsense"], { reject: false });
	t.equal(unknown.exitCode, 2);
	t.match(unknown.stderr, /nonsense/);
});
