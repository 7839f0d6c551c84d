'before'
throw 'the reason'
