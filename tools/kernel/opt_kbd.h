/* Options of keyboards: device nodes, as GENERIC has them. */
#define	KBD_INSTALL_CDEV	1
