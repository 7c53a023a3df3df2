/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * hvhost's command line, as far as it goes without a guest: what is wrong is
 * said in one line, before anything is started, whatever KVM there is.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <atf-c.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char said[8192];

static void
slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ATF_REQUIRE(f != NULL);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	fclose(f);
}

/* The exit status; what it prints is in said, stderr or else stdout. */
static int
run(const char *args)
{
	char cmd[1024];
	int status;

	snprintf(cmd, sizeof(cmd), "%s %s >out 2>err </dev/null", HVHOST,
	    args);
	status = system(cmd);
	ATF_REQUIRE_MSG(WIFEXITED(status), "%s: status %#x", args, status);
	slurp("err");
	if (said[0] == '\0')
		slurp("out");
	return (WEXITSTATUS(status));
}

static void
wrong(const char *args, int status, const char *text)
{
	int got = run(args);

	ATF_CHECK_MSG(got == status, "%s: status %d", args, got);
	ATF_CHECK_MSG(strstr(said, text) != NULL, "%s: \"%s\" lacks \"%s\"",
	    args, said, text);
	/* One line, by name. */
	ATF_CHECK_MSG(strncmp(said, "hvhost: ", 8) == 0 &&
	    strchr(said, '\n') == said + strlen(said) - 1, "%s: \"%s\"", args,
	    said);
}

static void
put(const char *path, const char *data)
{
	FILE *f = fopen(path, "w");

	ATF_REQUIRE(f != NULL);
	fputs(data, f);
	fclose(f);
}

ATF_TC_WITHOUT_HEAD(help);
ATF_TC_BODY(help, tc)
{
	static const char *const options[] = {
		"--append", "--cdrom", "--console", "--control", "--cpu ",
		"--cpus", "--disk", "--enlighten", "--help", "--initrd",
		"--kenv", "--kernel",
		"--mdroot", "--memory", "--module", "--monitor-pages",
		"--net", "--no-autoeoi", "--no-reboot", "--no-uring", "--probe",
		"--quiet", "--sandbox", "--services", "--stats",
		"--storvsp-version",
		"--subchannels", "--trace", "--version", "--vmbus-version",
	};

	ATF_CHECK_EQ(0, run("--help"));
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		ATF_CHECK_MSG(strstr(said, options[i]) != NULL, "%s",
		    options[i]);
	ATF_CHECK_EQ(0, run("--version"));
	ATF_CHECK(strncmp(said, "hvhost ", 7) == 0);
}

ATF_TC_WITHOUT_HEAD(wrong_words);
ATF_TC_BODY(wrong_words, tc)
{

	wrong("", 2, "--kernel FILE is wanted");
	wrong("--kernel", 2, "--kernel wants a value");
	wrong("--bogus", 2, "--bogus: no such option");
	wrong("kernel", 2, "\"kernel\": options begin with --");
	wrong("--cpus 0", 2, "--cpus: \"0\" is not a number from 1 to 64");
	wrong("--cpus 65", 2, "from 1 to 64");
	wrong("--cpus 2x", 2, "\"2x\"");
	wrong("--enlighten -time", 2, "--enlighten: \"-time\" is no word");
	wrong("--enlighten -tsc,", 2, "--enlighten: \"\" is no word");
	wrong("--enlighten isolation=sgx", 2, "\"isolation=sgx\" is no word");
	wrong("--enlighten nesting=16", 2, "\"nesting=16\" is no word");
	wrong("--enlighten none,-ipi,tsc,isolation=snp,paravisor,"
	    "shared-bits=47,nesting=1", 2, "--kernel FILE is wanted");
	wrong("--memory 1M", 2, "--memory: 1M is not from 16M to 1024G");
	wrong("--memory -5", 2, "is not a size such as 512M or 4G");
	wrong("--memory 99999999T", 2, "is not a size");
	wrong("--cpu host,-foo", 2, "\"-foo\" is not -xsave or -x2apic");
	wrong("--vmbus-version 5.4", 2, "\"5.4\" is none of 5.3 5.2");
	wrong("--vmbus-version 5", 2, "is none of");
	wrong("--storvsp-version 6", 2, "is none of 6.2 6.0");
	wrong("--subchannels 16", 2, "from 0 to 15");
	wrong("--console foo", 2, "is not stdio, pty, none or file=FILE");
	wrong("--sandbox maybe", 2, "neither on nor off");
	wrong("--services time,fcopy", 2, "--services: \"fcopy\" is not none");
	wrong("--services time,", 2, "\"\" is not none");
	wrong("--trace f,snap=9999", 2, "from 0 to 4096");
	wrong("--kenv foo", 2, "\"foo\" is not NAME=VALUE");
}

ATF_TC_WITHOUT_HEAD(wrong_nets);
ATF_TC_BODY(wrong_nets, tc)
{

	wrong("--net foo", 2, "should begin with tap=NAME, user or socket=");
	wrong("--net tap=", 2, "should begin with");
	wrong("--net user,foo", 2, "\"foo\" is no word for an adapter");
	wrong("--net user,foo=1", 2, "\"foo=\" is no word for an adapter");
	wrong("--net tap=t,restricted", 2, "\"restricted\" is no word");
	wrong("--net user,pcap=", 2, "\"pcap=\" is no word");
	wrong("--net user,mac=1:2:3", 2, "\"1:2:3\" is not an address such");
	wrong("--net user,mac=01:00:00:00:00:01", 2, "is not an address");
	wrong("--net user,mac=02:00:00:00:00:01x", 2, "is not an address");
	wrong("--net user,channels=0", 2, "from 1 to 64");
	wrong("--net user,mtu=1499", 2, "from 1500 to 9202");
	wrong("--net user,version=3.0", 2, "is none of 6.1 6.0 5.0 4.0");
	wrong("--net user,link=off", 2, "neither up nor down");
	wrong("--net user,loss=101", 2, "not a number from 0 to 100");
	wrong("--net user,delay=-1", 2, "not a number from 0 to 10000");
	/* What is not there, or cannot be had. */
	put("text", "no kernel\n");
	wrong("--kernel text --net socket=none", 1,
	    "none: cannot connect: No such file or directory");
	wrong("--kernel text --net user,pcap=no/file", 1,
	    "no/file: No such file or directory");
	wrong("--kernel text --net tap=name-far-too-long", 1,
	    "cannot be an interface's name");
	/* Eight at the most, all words good. */
	wrong("--kernel text --net user,mac=02:00:00:00:00:01,channels=4,"
	    "mtu=9000,version=5.0,link=down,pcap=file,loss=0.5,delay=1.5,"
	    "seed=7,restricted --net user", 1, "text: neither a Linux");
	wrong("--net user --net user --net user --net user --net user "
	    "--net user --net user --net user --net user", 2,
	    "more than 8 network adapters");
}

ATF_TC_WITHOUT_HEAD(wrong_disks);
ATF_TC_BODY(wrong_disks, tc)
{

	wrong("--disk foo", 2, "should begin with scsi, or ide,");
	wrong("--disk scsi", 2, "should begin with");
	wrong("--disk scsi,lun=3", 2, "names no file=");
	wrong("--disk scsi,file=a,lun=64", 2, "from 0 to 63");
	wrong("--disk scsi,file=a,controller=4", 2, "from 0 to 3");
	wrong("--disk scsi,file=a,drive=0", 2, "no word for a SCSI disk");
	wrong("--disk ide,file=a,lun=0", 2, "no word for an IDE disk");
	wrong("--disk scsi,file=a,rw", 2, "\"rw\" is no word for a disk");
	wrong("--disk scsi,file=a,cache=none", 2, "neither writeback nor");
	wrong("--disk scsi,file=a,block-size=1024", 2, "neither 512 nor 4096");
	wrong("--disk scsi,file=a,serial=123456789012345678901", 2,
	    "more than 20 characters");
}

ATF_TC_WITHOUT_HEAD(wrong_files);
ATF_TC_BODY(wrong_files, tc)
{
	static const char dir[] = "mkdir d && mkfifo p && truncate -s 1M img "
	    "&& truncate -s 1000 odd";

	ATF_REQUIRE_EQ(0, system(dir));
	put("text", "this is no kernel\n");
	put("empty", "");
	wrong("--kernel nowhere", 1, "nowhere: No such file or directory");
	wrong("--kernel d", 1, "d: not a regular file");
	wrong("--kernel p", 1, "p: not a regular file");
	wrong("--kernel empty", 1, "empty: is empty");
	wrong("--kernel text", 1, "text: neither a Linux bzImage, nor");
	/* Disks are looked at first. */
	wrong("--kernel text --disk scsi,file=no", 1, "no: cannot open for");
	wrong("--kernel text --disk scsi,file=odd", 1, "odd: its 1000 bytes");
	wrong("--kernel text --disk scsi,file=p", 1, "p: is a pipe");
	wrong("--kernel text --disk scsi,file=img --disk scsi,file=img", 1,
	    "img: is locked");
	wrong("--kernel text --disk scsi,file=img,lun=3 "
	    "--disk scsi,file=new,create=1M,lun=3", 1,
	    "new: unit 3 of controller 0: is taken");
	wrong("--kernel text --disk ide,file=img,channel=0,drive=0 "
	    "--disk ide,file=new,channel=0,drive=0", 1, "is taken");
	wrong("--kernel text --cdrom nothing.iso", 1, "nothing.iso: cannot");
	wrong("--kernel text --console file=d", 1, "console d: Is a dir");
	wrong("--kernel text --trace d", 1,
	    "d: cannot write a trace: Is a directory");
}

/* A comma in a file's name. */
ATF_TC_WITHOUT_HEAD(commas);
ATF_TC_BODY(commas, tc)
{
	struct stat sb;

	put("text", "no kernel\n");
	ATF_CHECK_EQ(1, run("--kernel text --disk scsi,file=a,,b,create=64K"));
	ATF_REQUIRE_EQ(0, stat("a,b", &sb));
	ATF_CHECK_EQ(65536, sb.st_size);
}

ATF_TP_ADD_TCS(tp)
{

	ATF_TP_ADD_TC(tp, help);
	ATF_TP_ADD_TC(tp, wrong_words);
	ATF_TP_ADD_TC(tp, wrong_nets);
	ATF_TP_ADD_TC(tp, wrong_disks);
	ATF_TP_ADD_TC(tp, wrong_files);
	ATF_TP_ADD_TC(tp, commas);
	return (atf_no_error());
}
