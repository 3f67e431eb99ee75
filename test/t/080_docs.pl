# The documentation does not rot: every command in the console blocks of README's
# quick start and of the tutorial is run, and must print what the page shows.  Only
# times, numbers of the host and names of the server may differ.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use File::Basename qw(dirname);
use Test::More;
use UpgTest;

my $top = "$FindBin::Bin/../..";
server_start();
$ENV{PATH} = dirname($UPG) . ":$ENV{PATH}";
$ENV{TZ} = 'UTC';

# What differs from run to run becomes a word.
sub plain
{
	my ($text) = @_;
	$text =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+\d\d|Z)?/TIME/g;
	$text =~ s/\b\d+ ms\b/N ms/g;
	$text =~ s/on \S+ port \d+ as user/on HOST as user/g;
	$text =~ s/PostgreSQL \d[^,]*,/PostgreSQL N,/g;
	$text =~ s/\b\d+\.\d+\.\d+\b/VERSION/g;
	$text =~ s/\b\d+ of \d+ slots/N of N slots/g;
	$text =~ s/\s+$//mg;
	return $text;
}

# The commands of a page in order: [ command, expected output, line ].
sub commands
{
	my ($page) = @_;
	my ($inside, @found) = (0);
	my $no = 0;
	foreach (split /\n/, $page)
	{
		$no++;
		if (/^```/) { $inside = /^```console/; next; }
		next unless $inside;
		if (/^\$ (.*)/) { push @found, [ $1, '', $no ]; }
		elsif (/^> (.*)/ && @found && $found[-1][1] eq '') { $found[-1][0] .= "\n$1"; }
		else { $found[-1][1] .= "$_\n"; }
	}
	return @found;
}

foreach my $name ('README.md', 'docs/tutorial.md')
{
	my $page = slurp("$top/$name");
	my $work = workdir();
	my @commands = commands($page);
	cmp_ok(scalar(@commands), '>=', 12, "$name holds commands");
	# One shell runs them all, so that export and cd mean what they say.
	open(my $script, '>', "$work.sh") or die "$work.sh: $!";
	print $script "cd $work\n", map { "{\n$commands[$_][0]\n} >$work.$_ 2>&1\n" } 0 .. $#commands;
	close($script);
	system('bash', "$work.sh");
	foreach my $i (0 .. $#commands)
	{
		my ($command, $expected, $line) = @{ $commands[$i] };
		my ($first) = split /\n/, $command;
		my $got = slurp("$work.$i");
		is(plain($got), plain($expected), "$name:$line: $first");
		unlink "$work.$i";
	}
	unlink "$work.sh";
}

done_testing();
