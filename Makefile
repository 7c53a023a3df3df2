# FreeBSD: the kernel modules, by bsd.kmod.mk, against the sources of the
# running system or SYSDIR=/path/to/sys, and the programs, by bsd.prog.mk.  On
# Linux GNU make reads GNUmakefile.

SUBDIR=	sys/modules/hyperv \
	usr.sbin/hyperv

.include <bsd.subdir.mk>
