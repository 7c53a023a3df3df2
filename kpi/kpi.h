/*-
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Copyright (c) 2026 The FreeBSD Integration Services for Hyper-V authors
 */

/*
 * The hosted FreeBSD kernel as a Linux program sees it: boot, processors,
 * clock, memory, and what a user would do from outside (modules, sysctl,
 * disks).  Included on both sides of the waist, so it uses no header and only
 * the compiler's own types.  One kernel a process.
 *
 * Threads: a Linux thread that calls a function below which is marked [k]
 * becomes a kernel thread for the time of the call (it gets a curthread);
 * others need none.  Functions return 0 or FreeBSD's errno values.
 */

#ifndef KPI_H
#define	KPI_H

typedef __UINT64_TYPE__	kpi_u64;
typedef __UINT32_TYPE__	kpi_u32;
typedef __SIZE_TYPE__	kpi_size;

/* The processor's privileged doors; called on the thread that knocked. */
struct kpi_machine {
	/* regs in: what the processor itself says; out: what the guest sees. */
	void	(*cpuid)(void *arg, unsigned cpu, kpi_u32 leaf, kpi_u32 sub,
		    kpi_u32 regs[4]);
	/* Non-zero: the guest takes #GP, which is a panic. */
	int	(*rdmsr)(void *arg, unsigned cpu, kpi_u32 msr, kpi_u64 *val);
	int	(*wrmsr)(void *arg, unsigned cpu, kpi_u32 msr, kpi_u64 val);
};

struct kpi_config {
	unsigned	 ncpus;		/* 1 to 64 */
	kpi_size	 memsize;	/* guest-physical memory, 0: 512 MiB */
	int		 virtual_clock;	/* time stands still but for
					 * kpi_clock_advance() */
	int		 scatter;	/* virtually contiguous pages are not
					 * physically contiguous */
	int		 quiet;		/* no console output */
	const char	*const *kenv;	/* "name=value", ends with NULL */
	/*
	 * Modules as of kpi_kldload() that the loader brought with the kernel;
	 * ends with NULL, or NULL.  Their devices attach while it boots, before
	 * the clocks run.
	 */
	const char	*const *preload;
	const struct kpi_machine *machine; /* NULL: no hypervisor */
	void		*machine_arg;
	/* Console output, one whole line at a time; NULL: standard output. */
	void		(*console)(void *arg, const char *line);
	void		*console_arg;
};

/*
 * Maps guest memory.  Apart from kpi_boot() so that a host model can be given
 * the memory first.  *base: host address of guest-physical address 0.  It is
 * readable and writable; what it executes is malloc_exec(9)'s.
 */
int	kpi_init(const struct kpi_config *cf, void **base, kpi_size *size);
/*
 * Runs the SYSINITs and attaches the root bus (nexus0, acpi0).  The caller is
 * thread0 for the time of the call.
 */
int	kpi_boot(void);
/* [k] Orderly: modules unloaded in reverse, threads ended. */
void	kpi_shutdown(void);
/*
 * [k] What reboot(8) does before the machine stops: shutdown event handlers and
 * MOD_SHUTDOWN; nothing is given back.  panicked: as after a panic, that is
 * scheduler stopped and interrupts off, with nothing synchronized.
 */
void	kpi_halt(int panicked);
/*
 * [k] What the power code does before the machine sleeps and after it wakes:
 * event handlers, DEVICE_SUSPEND() or DEVICE_RESUME() from the root on.  errno:
 * a device refused, and all are awake again.
 */
int	kpi_suspend(void);
int	kpi_resume(void);
/*
 * [k] Waits up to ms milliseconds of real time for a driver to ask init(8) to
 * end the system, by shutdown_nice(9), and takes the oldest such request:
 * *howto, RB_* as FreeBSD's.  ETIMEDOUT (60).
 */
int	kpi_shutdown_asked(unsigned ms, int *howto);
/*
 * After kpi_shutdown(): what is still allocated, held, registered or running,
 * by name, on the console.  Returns how many entries: 0 is clean.
 */
unsigned kpi_leaks(void);

/* [k] Modules linked into this program, by MODULE name ("vmbus"). */
int	kpi_kldload(const char *name);
int	kpi_kldunload(const char *name);

/* [k] Run fn(arg) as a kernel thread bound to cpu (-1: any) and wait. */
void	kpi_call(void (*fn)(void *), void *arg, int cpu);

/* An interrupt for a virtual processor; any thread, never blocks. */
void	kpi_interrupt(unsigned cpu, unsigned vector);
/* The virtual processor this thread runs on; 0 for foreign threads. */
unsigned kpi_curcpu(void);

/*
 * Nanoseconds since the machine was started; advancing runs what falls due, in
 * order.
 */
kpi_u64	kpi_clock_now(void);
void	kpi_clock_advance(kpi_u64 ns);
/* [k] The time of day, as nanoseconds since 1970; set, as by date(1). */
kpi_u64	kpi_clock_utc(void);
int	kpi_clock_set_utc(kpi_u64 ns);

/*
 * How programs read the clock without a system call: FreeBSD's
 * VDSO_TH_ALGO_*; 0: they cannot.
 */
int	kpi_vdso_algo(void);
/* The kernel's timecounter, read once, by whatever code of a kernel does. */
unsigned kpi_timecount(void);
/* What somebody has told the kernel, 0: it would have to measure. */
kpi_u64	kpi_tsc_freq(void);

/*
 * Events of the timer that kern.eventtimer.timer names on this processor, with
 * kern.eventtimer.periodic when it was chosen: a hundred a second.
 */
kpi_u64	kpi_timer_events(unsigned cpu);

/* Wired memory in guest-physical space, page-aligned; NULL. */
void   *kpi_mem_alloc(kpi_size size);
void	kpi_mem_free(void *p);

/*
 * [k] Sysctl by name, as text.  Returns errno; buf is always terminated.
 * kpi_sysctl_walk() calls fn for each leaf below prefix.
 */
int	kpi_sysctl_get(const char *name, char *buf, kpi_size len);
int	kpi_sysctl_set(const char *name, const char *value);
void	kpi_sysctl_walk(const char *prefix,
	    void (*fn)(void *arg, const char *name, const char *value),
	    void *arg);

/* [k] The device tree, one line a device, as devinfo -v prints it. */
void	kpi_devinfo(void (*fn)(void *arg, const char *line), void *arg);

/*
 * [k] The oldest line that devd(8) would read from /dev/devctl, without its
 * newline, and takes it off the queue; EAGAIN: none.
 */
int	kpi_devctl_read(char *buf, kpi_size len);

/* --- Device nodes, as a process sees them under /dev --- */

struct kpi_devfile;

/* flags: 1 to read, 2 to write, 4 not to block. */
int	kpi_dev_open(const char *name, int flags, struct kpi_devfile **fp);
int	kpi_dev_close(struct kpi_devfile *f);
int	kpi_dev_read(struct kpi_devfile *f, void *buf, kpi_size len,
	    kpi_size *done);
int	kpi_dev_write(struct kpi_devfile *f, const void *buf, kpi_size len,
	    kpi_size *done);
/* cmd as FreeBSD encodes it; data is copied in and out as it says. */
int	kpi_dev_ioctl(struct kpi_devfile *f, unsigned long cmd, void *data);
/*
 * Memory of the device as mmap(2) would map a page of it; prot: 1 to read, 2 to
 * write.
 */
int	kpi_dev_mmap(struct kpi_devfile *f, kpi_u64 ofs, int prot,
	    const void **page);
/* POLL* as poll(2); up to ms of kernel time, for ever if negative. */
int	kpi_dev_poll(struct kpi_devfile *f, int events, int ms, int *revents);
/* To polls of the file, under way and later, POLLHUP: its holder will close. */
void	kpi_dev_hangup(struct kpi_devfile *f);
/* One event of an EVFILT_*; EWOULDBLOCK (35): none came. */
int	kpi_dev_kevent(struct kpi_devfile *f, int filter, int ms,
	    long long *data);
void	kpi_dev_list(void (*fn)(void *arg, const char *name), void *arg);

/* --- Disks (da, cd) --- */

enum kpi_disk_op {
	KPI_DISK_READ, KPI_DISK_WRITE, KPI_DISK_FLUSH, KPI_DISK_DELETE
};

struct kpi_disk_info {
	kpi_u64		 size;		/* bytes */
	kpi_u32		 sectorsize;
	kpi_u32		 maxio;		/* largest request in bytes */
	int		 readonly;
	int		 candelete;
	char		 sim[16];	/* "storvsc" */
	unsigned	 simunit, target, lun;
};

struct kpi_disk_io {
	enum kpi_disk_op op;
	kpi_u64		 offset;	/* bytes, sector multiple */
	kpi_size	 len;		/* bytes, any size: split as needed */
	void		*buf;		/* kpi_mem_alloc() memory, any offset */
	/* On completion, on a kernel thread; must not block for long. */
	void		(*done)(struct kpi_disk_io *io, int error);
	void		*arg;
	void		*priv[4];	/* the disk layer's */
};

/* [k] Waits up to ms milliseconds of real time for the disk. ETIMEDOUT. */
int	kpi_disk_wait(const char *name, unsigned ms);
int	kpi_disk_info(const char *name, struct kpi_disk_info *info);
/* [k] 0: done() will be called once, whatever happens. ENXIO. */
int	kpi_disk_start(const char *name, struct kpi_disk_io *io);
/* [k] Calls fn with each disk's name in order of attachment. */
void	kpi_disk_list(void (*fn)(void *arg, const char *name), void *arg);
/*
 * [k] Writes len bytes at offset the way a crash dump does: panic state, other
 * processors stopped, interrupts off, polling.  Only kpi_leaks() is of no use
 * afterwards; further dumps are.
 */
int	kpi_disk_dump(const char *name, kpi_u64 offset, const void *buf,
	    kpi_size len);
/* [k] Send a LUN, target or bus reset, or abort, as an administrator would
 * with camcontrol reset; rescan the bus of a SIM. */
int	kpi_cam_reset(const char *sim, unsigned unit, int target, int lun);
int	kpi_cam_rescan(const char *sim, unsigned unit);
/* By how many scans and drivers a kernel is kept from its root disk. */
unsigned kpi_cam_boot_holds(void);

/* --- Network interfaces (hn0) --- */

struct kpi_piece {
	void		*addr;
	kpi_size	 len;
};

/* out: what is asked of a frame that is sent; in: what is known of one. */
#define	KPI_NET_CSUM_IP	0x01	/* out: fill in the IPv4 header's checksum;
				 * in: it was verified and is right */
#define	KPI_NET_CSUM_L4	0x02	/* out: complete TCP's or UDP's checksum, whose
				 * field holds the pseudo-header's sum, as in
				 * both FreeBSD and Linux; in: right */
#define	KPI_NET_TSO	0x04	/* out: cut into segments of mss; TCP's
				 * checksum then is asked for as well */
#define	KPI_NET_VLAN	0x08	/* vlan is valid, and not among the data */
#define	KPI_NET_HASH	0x10	/* flowid and hashtype are valid */
#define	KPI_NET_LRO	0x20	/* in: mss says of how many segments */
#define	KPI_NET_AS_IS	0x40	/* out: one mbuf for each piece; else as TCP
				 * does: headers in one, then clusters */

struct kpi_frame {
	const struct kpi_piece *piece;	/* from the Ethernet header on */
	unsigned	 npieces;
	kpi_size	 len;		/* in: of all pieces */
	kpi_u32		 flags;		/* KPI_NET_* */
	kpi_u32		 csum_flags;	/* in: as FreeBSD's m_pkthdr has them */
	kpi_u32		 flowid;
	unsigned	 hashtype;	/* M_HASHTYPE_* as FreeBSD's */
	unsigned	 vlan;		/* priority << 13 | DEI << 12 | id */
	unsigned	 mss;
	unsigned	 cpu;		/* in: where it was handed over */
	void		*priv;		/* in: the network layer's */
};

/* Capabilities; the numbers are FreeBSD's IFCAP_*. */
#define	KPI_NETCAP_RXCSUM	0x00000001
#define	KPI_NETCAP_TXCSUM	0x00000002
#define	KPI_NETCAP_VLAN_MTU	0x00000008
#define	KPI_NETCAP_VLAN_TAGGING	0x00000010
#define	KPI_NETCAP_JUMBO	0x00000020
#define	KPI_NETCAP_POLLING	0x00000040
#define	KPI_NETCAP_TSO4		0x00000100
#define	KPI_NETCAP_TSO6		0x00000200
#define	KPI_NETCAP_LRO		0x00000400
#define	KPI_NETCAP_LINKSTATE	0x00080000
#define	KPI_NETCAP_RXCSUM6	0x00200000
#define	KPI_NETCAP_TXCSUM6	0x00400000

/* The kernel's side of an interface; all functions on kernel threads. */
struct kpi_net_ops {
	/*
	 * A frame for the stack.  Non-zero: kept, that is its pieces stay valid
	 * until kpi_net_release() of a copy of *f; else until it returns.
	 * NULL: frames wait for kpi_net_recv(), some thousand at most.
	 */
	int	(*input)(void *arg, const struct kpi_frame *f);
	/* What bpf(4) sees, in both directions; NULL: nobody listens. */
	void	(*capture)(void *arg, const struct kpi_frame *f);
	/* state: 0 unknown, 1 down, 2 up; the interface's name follows. */
	void	(*link)(void *arg, int state);
};

struct kpi_net_info {
	unsigned char	 mac[6];
	unsigned	 mtu;
	unsigned	 flags, drv_flags;	/* IFF_*: 1 up, 0x40 running */
	unsigned	 caps, capenable;	/* KPI_NETCAP_* */
	kpi_u64		 hwassist;		/* CSUM_* as FreeBSD's */
	int		 link;			/* as link() above */
	kpi_u64		 baudrate;		/* bit/s */
	unsigned	 tsomax, tsomaxsegcount, tsomaxsegsize;
	kpi_u64		 ipackets, ierrors, ibytes, imcasts, iqdrops;
	kpi_u64		 opackets, oerrors, obytes, omcasts, oqdrops;
	kpi_u64		 unclaimed;	/* came in, and kpi_net_recv() was not
					 * called in time, or never */
};

struct kpi_net;

/* [k] Waits up to ms milliseconds of real time for the interface. ETIMEDOUT. */
int	kpi_net_wait(const char *name, unsigned ms);
/* [k] Calls fn with each interface's name in order of attachment. */
void	kpi_net_list(void (*fn)(void *arg, const char *name), void *arg);
/*
 * [k] At most one handle an interface: EBUSY; ENXIO.  ops may be NULL.  Closing
 * waits for calls of ops that are under way.  Once the interface is detached
 * all functions return ENXIO but close, recv and release.
 */
int	kpi_net_open(const char *name, const struct kpi_net_ops *ops, void *arg,
	    struct kpi_net **np);
void	kpi_net_close(struct kpi_net *n);
/*
 * [k] Hands frames to the interface as the stack does, one by one, copying
 * their data into mbufs.  What the interface is not set to do is done in
 * software before, as in the kernel (checksums, the VLAN tag); TSO must be
 * enabled (EOPNOTSUPP).  Returns how many the driver took; *error: why the next
 * one failed (ENOBUFS: its queue is full), which is then lost, or 0.
 */
unsigned kpi_net_send(struct kpi_net *n, const struct kpi_frame *f,
	    unsigned count, int *error);
/*
 * [k] The oldest frame that came in, within ms milliseconds of real time;
 * EAGAIN (35).  It must be released.
 */
int	kpi_net_recv(struct kpi_net *n, struct kpi_frame *f, unsigned ms);
void	kpi_net_release(struct kpi_frame *f);

int	kpi_net_info(struct kpi_net *n, struct kpi_net_info *info);
/* [k] What ifconfig(8) does; errno values, also the driver's own. */
int	kpi_net_up(struct kpi_net *n, int up);
int	kpi_net_mtu(struct kpi_net *n, unsigned mtu);
int	kpi_net_promisc(struct kpi_net *n, int on);
int	kpi_net_allmulti(struct kpi_net *n, int on);
int	kpi_net_multicast(struct kpi_net *n, const unsigned char mac[6],
	    int join);
int	kpi_net_mac(struct kpi_net *n, const unsigned char mac[6]);
/* Which capabilities are enabled from now on. */
int	kpi_net_caps(struct kpi_net *n, unsigned capenable);
/* A VLAN interface on top comes or goes. */
int	kpi_net_vlan(struct kpi_net *n, unsigned id, int add);
/* cmd and data as FreeBSD has them; the struct ifreq's name is filled in. */
int	kpi_net_ioctl(struct kpi_net *n, unsigned long cmd, void *data);

/*
 * [k] Sends a frame and polls for one as netdump(4) does: panic state, as
 * kpi_disk_dump().  *replylen: room in reply; then how much came within ms
 * milliseconds, 0: nothing.  ENODEV: the driver cannot do it.
 */
int	kpi_net_debug(const char *name, const void *frame, kpi_size len,
	    void *reply, kpi_size *replylen, unsigned ms);

/* mbufs and what belongs to them: given out and not yet freed. */
struct kpi_mbufs {
	kpi_u64	mbufs, clusters, jumbop, jumbo9, jumbo16;
	kpi_u64	ext;		/* external storage, by m_extadd() */
	kpi_u64	tags;
};
void	kpi_mbufs(struct kpi_mbufs *mb);

/* --- Failure injection --- */

enum kpi_fail {
	KPI_FAIL_MALLOC,	/* malloc(9), contigmalloc(9), uma, M_NOWAIT
				 * and M_WAITOK alike: those that may fail */
	KPI_FAIL_BUSDMA,	/* tag or map creation, load */
	KPI_FAIL_THREAD,	/* kproc, kthread, taskqueue threads */
	KPI_FAIL_MBUF,		/* mbufs and clusters, M_NOWAIT */
	KPI_FAIL_KINDS
};

/* The n-th from now on fails, once (0: none will).  kpi_fail_hit(): has it? */
void	kpi_fail_nth(enum kpi_fail kind, unsigned n);
int	kpi_fail_hit(enum kpi_fail kind);

/* --- Counters of the runtime --- */

struct kpi_stats {
	kpi_u64	interrupts;		/* vectors taken */
	kpi_u64	bytes_bounced;		/* busdma bounce copies */
	kpi_u64	maps_loaded;
	kpi_u64	threads;		/* kernel threads alive */
	kpi_u64	malloc_bytes;		/* in use, all types */
};
void	kpi_get_stats(struct kpi_stats *st);
/* Bytes in use of one malloc type ("vmbus"). */
kpi_u64	kpi_malloc_type_bytes(const char *type);

/* --- Tests that run inside the kernel (tests/lib/ktest.h) --- */

unsigned kpi_ktest_count(void);
/* *panic: NULL, or a part of the message of the panic that the test causes. */
void	kpi_ktest_info(unsigned i, const char **name, const char **descr,
	    const char **panic);
/* Whether the kernel checks what only INVARIANTS checks. */
int	kpi_ktest_invariants(void);
/* [k] Runs test i; it reports failures through the waist. */
void	kpi_ktest_run(unsigned i);

#endif	/* !KPI_H */
