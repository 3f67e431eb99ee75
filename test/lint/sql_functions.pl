# test/lint/sql_functions.pl FILE...: print what breaks the rules for SQL scripts.
use strict;
use warnings;

my (%created, %where, %comment, %revoke);

foreach my $file (@ARGV)
{
    open(my $fh, '<', $file) or die "$file: $!\n";
    local $/;
    my $text = <$fh>;
    close($fh);
    # Comments to blanks, keeping the line count.
    $text =~ s{/\*.*?\*/}{ my $c = $&; $c =~ s/[^\n]//g; $c }gse;
    $text =~ s{--[^\n]*}{}g;
    # Bodies in dollar quotes are no commands of the script.
    (my $bare = $text) =~ s{(\$\w*\$)(.*?)\1}{ my ($q, $c) = ($1, $2); $c =~ s/[^\n]//g; "$q$c$q" }gse;
    my $line = sub { 1 + (substr($bare, 0, shift) =~ tr/\n//) };

    while ($bare =~ /\bCREATE\s+(OR\s+REPLACE\s+)?(FUNCTION|PROCEDURE|AGGREGATE)\s+([\w@.]+)\s*\((.*?);/gsi)
    {
        my ($replace, $kind, $name, $rest) = ($1, lc $2, $3, $4);
        my $at = "$file:" . $line->($-[0]);
        print "$at: CREATE OR REPLACE would adopt an object somebody made before\n" if $replace;
        print "$at: $kind $name is not qualified\n" if $name !~ /^(\@extschema\@|upg)\./;
        $created{$name}++;
        $where{$name} //= $at;
        next if $kind eq 'aggregate';
        print "$at: $kind $name has no LANGUAGE\n" unless $rest =~ /\bLANGUAGE\s+(\w+)/i;
        my $language = lc($1 // '');
        if ($kind eq 'function')
        {
            my $trigger = $rest =~ /\bRETURNS\s+(event_)?trigger\b/i;
            print "$at: function $name does not say IMMUTABLE, STABLE or VOLATILE\n"
              unless $trigger || $rest =~ /\b(IMMUTABLE|STABLE|VOLATILE)\b/i;
            print "$at: function $name does not say PARALLEL SAFE, RESTRICTED or UNSAFE\n"
              unless $trigger || $rest =~ /\bPARALLEL\s+(SAFE|RESTRICTED|UNSAFE)\b/i;
        }
        # A procedure that commits cannot have a SET clause; its body qualifies all.
        # A body between BEGIN ATOMIC and END is parsed when it is created.
        print "$at: $kind $name does not pin its search_path\n"
          if $kind ne 'procedure' && $language =~ /^(sql|plpgsql)$/ && $rest !~ /\bSET\s+search_path\b|\bBEGIN\s+ATOMIC\b/i;
        print "$at: $kind $name: SECURITY DEFINER without a pinned search_path\n"
          if $rest =~ /SECURITY\s+DEFINER/i && $rest !~ /\bSET\s+search_path\b/i && $language ne 'c';
        if ($language eq 'c' && $rest =~ /'MODULE_PATHNAME'\s*,\s*'(\w+)'/)
        {
            my $symbol = $1;
            print "$at: C symbol $symbol does not begin with upg_\n" if $symbol !~ /^upg_/;
        }
    }
    # Whoever may read a value may print and compare it: what a type or an operator
    # is made of stays open to everybody.
    while ($bare =~ /\bCREATE\s+(?:TYPE|OPERATOR)\s+\S+\s*\((.*?)\);/gsi)
    {
        my $parts = $1;
        $revoke{$1} //= 'open' while $parts =~ /=\s*([\w@]+\.\w+)/g;
    }
    $comment{$2}++ while $bare =~ /\bCOMMENT\s+ON\s+(FUNCTION|PROCEDURE|AGGREGATE|ROUTINE)\s+([\w@.]+)/gi;
    while ($bare =~ /\bREVOKE\s+ALL\s+ON\s+(?:FUNCTION|PROCEDURE|ROUTINE)\s+(.*?)\bFROM\s+PUBLIC/gsi)
    {
        my $list = $1;
        foreach my $name ($list =~ /([\w@]+\.\w+)\s*\(/g)
        {
            $revoke{$name}++ if ($revoke{$name} // '') ne 'open';
        }
    }
    while ($bare =~ /\bCREATE\s+(\w+\s+)?(\w+)\s+IF\s+NOT\s+EXISTS\b/gi)
    {
        print "$file:", $line->($-[0]), ": IF NOT EXISTS would adopt an object somebody made before\n";
    }
    while ($bare =~ /\bCREATE\s+(?:UNLOGGED\s+)?(TABLE|VIEW|SEQUENCE|TYPE)\s+([\w@.]+)/gi)
    {
        my ($kind, $name) = (lc $1, $2);
        my $at = "$file:" . $line->($-[0]);
        print "$at: $kind $name is not qualified\n" if $name !~ /^(\@extschema\@|upg)\./;
        print "$at: $kind $name has no COMMENT\n"
          if $kind ne 'sequence' && $bare !~ /\bCOMMENT\s+ON\s+\Q$kind\E\s+\Q$name\E\b/i;
    }
}

foreach my $name (sort keys %created)
{
    my $n = $created{$name};
    print "$where{$name}: $name: ", $comment{$name} // 0, " COMMENT for $n definitions\n"
      if ($comment{$name} // 0) != $n;
    print "$where{$name}: $name: ", $revoke{$name} // 0, " REVOKE ALL ... FROM PUBLIC for $n definitions\n"
      if ($revoke{$name} // 0) ne 'open' && ($revoke{$name} // 0) != $n;
}
