/* Options of the CAM subsystem: none set. */
