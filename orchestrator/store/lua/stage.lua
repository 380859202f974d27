-- KEYS: piece.  ARGV 3..: seconds, tasks (as `create` reads them).
-- Keeps a piece of a submission that nothing sees yet and that goes by itself if it isn't sealed.
local keep_s, piece = unpack(ARGV, 3, 4)
call('SET', KEYS[1], piece, 'EX', keep_s)
return 1
