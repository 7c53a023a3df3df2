# FreeBSD: the kernel modules, by bsd.kmod.mk, against the sources of the
# running system or SYSDIR=/path/to/sys.  On Linux GNU make reads GNUmakefile.

SUBDIR=	sys/modules/hyperv

.include <bsd.subdir.mk>
