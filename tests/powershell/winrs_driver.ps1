# Runs the bootstrap from its file, which the recorder knows by its path.
param([string]$Script)
. $Script
