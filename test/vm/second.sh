# Process 1 of the virtual machine on its root file system. Argument: the working directory of the script.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd "$1" || exit
printf '\nVM BEGIN\n'
bash /tmp/script 2>&1
printf '\nVM END %s\n' "$?"
sleep 0.3
echo o > /proc/sysrq-trigger
sleep 10
