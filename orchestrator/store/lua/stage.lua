-- KEYS: piece.  ARGV 3..: seconds, tasks (as `create` reads them).
-- Keeps a piece of a submission that nothing sees yet and that goes by itself if it isn't sealed.
call('SET', KEYS[1], ARGV[4], 'EX', ARGV[3])
return 1
