# What is installed with each daemon: how rc(8) and devd(8) start it, and its
# device's messages, for daemons of others.  These are files, not configuration,
# which `make install' would leave out.

HVD:=		${PROG:S/_daemon$//}

FILESGROUPS=	DEVD RCD
DEVD=		${.CURDIR:H:H:H}/etc/devd/${HVD}.conf
DEVDDIR=	/etc/devd
RCD=		${.CURDIR:H:H:H}/libexec/rc/rc.d/${PROG}
RCDDIR=		/etc/rc.d
RCDMODE=	555

INCS=		${.CURDIR:H:H:H}/sys/dev/hyperv/utilities/${HVD}_dev.h
INCSDIR=	/usr/include/dev/hyperv/utilities

beforeinstall:
	${INSTALL} -d ${DESTDIR}${INCSDIR} ${DESTDIR}${SCRIPTSDIR}

.include <bsd.prog.mk>
